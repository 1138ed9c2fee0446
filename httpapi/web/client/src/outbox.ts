// Messages on their way out. Each is sent under one msg_id until tlim acknowledges it (MTC-100) or refuses it: over lost links, full servers
// and, with a store, over a reload of the page. The server takes repeats for one message, so nothing is lost and nothing doubled.
import { TlimError } from './errors.ts'
import type { OutgoingMessage, StanzaError } from './stream.ts'

export interface OutboxStore {
  load(): OutgoingMessage[]
  save(m: OutgoingMessage): void
  remove(id: string): void
}

export interface Timers {
  set(f: () => void, ms: number): unknown
  clear(handle: unknown): void
}

export const realTimers: Timers = {
  set: (f, ms) => setTimeout(f, ms),
  clear: (handle) => clearTimeout(handle as ReturnType<typeof setTimeout>),
}

/** When a message that got no answer is sent again, and the longest time between two tries. */
const firstRepeat = 8_000
const longestRepeat = 60_000

interface Entry {
  message: OutgoingMessage
  tries: number
  timer: unknown
  settle: Promise<number>
  resolve(time: number): void
  reject(error: TlimError): void
}

export class Outbox {
  #entries = new Map<string, Entry>()
  #send: ((m: OutgoingMessage) => void) | null = null
  readonly #store: OutboxStore | undefined
  readonly #timers: Timers

  constructor(store?: OutboxStore, timers = realTimers) {
    this.#store = store
    this.#timers = timers
  }

  get size(): number {
    return this.#entries.size
  }

  /** restore takes up what an earlier page left behind, and returns it. */
  restore(): OutgoingMessage[] {
    const left = this.#store?.load().filter((m) => !this.#entries.has(m.id)) ?? []
    for (const m of left) this.#enter(m)
    return left
  }

  /** add sends a message, now or when there is a stream. The promise is kept with the stored msg_time, or broken by a refusal. */
  add(m: OutgoingMessage): Promise<number> {
    const known = this.#entries.get(m.id)
    if (known) return known.settle
    this.#store?.save(m)
    const entry = this.#enter(m)
    this.#transmit(entry)
    return entry.settle
  }

  /** settled returns the promise of a message that is on its way. */
  settled(id: string): Promise<number> | undefined {
    return this.#entries.get(id)?.settle
  }

  /** connected sends all that waits, in the order in which it was written. */
  connected(send: (m: OutgoingMessage) => void): void {
    this.#send = send
    for (const entry of [...this.#entries.values()]) this.#transmit(entry)
  }

  disconnected(): void {
    this.#send = null
    for (const entry of this.#entries.values()) this.#timers.clear(entry.timer)
  }

  /** acknowledged takes an MTC-100; false when nothing waited for it. */
  acknowledged(id: string, time: number): boolean {
    const entry = this.#take(id)
    entry?.resolve(time)
    return entry !== undefined
  }

  /** refused takes an error stanza. What is only too early is sent again by itself. */
  refused(id: string, e: StanzaError): boolean {
    const entry = this.#entries.get(id)
    if (!entry) return false
    const temporary = e.type === 'wait' || e.code === 'error-013' || e.condition === 'remote-server-not-found' || e.condition === 'remote-server-timeout'
    // Without a code it is the server's own answer: tlim is away, and comes back.
    if (temporary || (!e.code && (e.condition === 'service-unavailable' || e.condition === 'recipient-unavailable'))) {
      this.#repeatLater(entry, Math.min(1000 * 2 ** entry.tries, longestRepeat))
      return true
    }
    this.#take(id)
    entry.reject(new TlimError(e.code || 'fail', e.text))
    return true
  }

  /** drop forgets a message that is to be sent no more. */
  drop(id: string): void {
    this.#take(id)?.reject(new TlimError('aborted'))
  }

  #enter(m: OutgoingMessage): Entry {
    let resolve!: (time: number) => void
    let reject!: (error: TlimError) => void
    const settle = new Promise<number>((ok, no) => ((resolve = ok), (reject = no)))
    settle.catch(() => undefined) // who does not ask is not told; it is no unhandled rejection
    const entry: Entry = { message: m, tries: 0, timer: undefined, settle, resolve, reject }
    this.#entries.set(m.id, entry)
    return entry
  }

  #transmit(entry: Entry): void {
    if (!this.#send) return
    this.#send(entry.message)
    this.#repeatLater(entry, Math.min(firstRepeat * 2 ** entry.tries, longestRepeat))
    entry.tries++
  }

  #repeatLater(entry: Entry, ms: number): void {
    this.#timers.clear(entry.timer)
    entry.timer = this.#timers.set(() => this.#transmit(entry), ms)
  }

  #take(id: string): Entry | undefined {
    const entry = this.#entries.get(id)
    if (!entry) return undefined
    this.#timers.clear(entry.timer)
    this.#entries.delete(id)
    this.#store?.remove(id)
    return entry
  }
}
