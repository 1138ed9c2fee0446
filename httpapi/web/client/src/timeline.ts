// The messages of one conversation, oldest first, each once. Pages of the history come in front, live messages behind, and after a broken link
// the newest page is laid over what is there.
import type { Message } from './message.ts'

export class Timeline {
  #list: Message[] = []
  #ids = new Map<string, { message: Message; arrival: number }>()
  #arrivals = 0
  /** Where the oldest page ended, with the rows in it that are no messages. */
  #end: string | undefined
  /** The beginning of the conversation is here: no older page is left. */
  complete = false

  get messages(): readonly Message[] {
    return this.#list
  }

  get(id: string): Message | undefined {
    return this.#ids.get(id)?.message
  }

  /** add puts a live message behind all others; false when it is there already. */
  add(m: Message): boolean {
    if (this.#ids.has(m.id)) return false
    this.#ids.set(m.id, { message: m, arrival: ++this.#arrivals })
    this.#list.push(m)
    return true
  }

  /** older puts a page of the history in front. Rows come newest first, as the server answers them. */
  older(rows: readonly Message[], complete: boolean, end?: string): number {
    this.#end = end
    const fresh = rows.filter((m) => !this.#ids.has(m.id)).reverse()
    for (const m of fresh) this.#ids.set(m.id, { message: m, arrival: 0 })
    this.#list = [...fresh, ...this.#list]
    this.complete = complete
    return fresh.length
  }

  /** mark is a moment of this timeline: take it before the newest page is asked for. */
  mark(): number {
    return this.#arrivals
  }

  /**
   * newest lays the newest page (newest first) over the end: after a login and after a link that broke. It takes the server's order, and keeps what the
   * page cannot have: what came after the mark, and what is still to be sent. What it lacks otherwise is gone (revoked, cleared).
   * It answers false when there may be a hole in front of the page, and forgets what lies before it then.
   */
  newest(rows: readonly Message[], complete: boolean, mark = this.#arrivals, end?: string): boolean {
    const page = [...rows].reverse()
    const inPage = new Set(page.map((m) => m.id))
    const last = page[page.length - 1]?.stored ?? 0
    const overlap = this.#list.findIndex((m) => inPage.has(m.id))
    const joined = complete || overlap >= 0
    const before: Message[] = []
    const behind: Message[] = []
    this.#list.forEach((m, i) => {
      if (inPage.has(m.id)) return
      const late = (this.#ids.get(m.id)!.arrival ?? 0) > mark || (m.mine && m.stored !== undefined && m.stored > last)
      if (late || m.status === 'pending' || m.status === 'failed') behind.push(m)
      else if (!complete && i < overlap) before.push(m)
    })
    if (before.length === 0) this.#end = end
    this.complete = complete || (joined && this.complete)
    // An object that is shown already stays the same one; its time and place are the server's now.
    const merged = page.map((m) => {
      const known = this.#ids.get(m.id)?.message
      return known ? Object.assign(known, m) : m
    })
    this.#list = [...before, ...merged, ...behind]
    this.#ids = new Map(this.#list.map((m) => [m.id, this.#ids.get(m.id) ?? { message: m, arrival: 0 }]))
    return joined
  }

  remove(ids: Iterable<string>): number {
    const gone = new Set(ids)
    const kept = this.#list.filter((m) => !gone.has(m.id))
    const n = this.#list.length - kept.length
    if (n > 0) {
      this.#list = kept
      for (const id of gone) this.#ids.delete(id)
    }
    return n
  }

  clear(): void {
    this.#list = []
    this.#ids.clear()
    this.#end = undefined
    this.complete = true
  }

  /** oldest is the place from which the next older page begins: "before" of the histories. */
  get oldest(): string | undefined {
    if (this.#end) return this.#end
    const m = this.#list.find((m) => m.stored !== undefined)
    return m && `${m.stored},${m.id}`
  }
}
