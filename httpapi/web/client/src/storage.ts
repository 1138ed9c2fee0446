// What a page keeps in the browser: localStorage, or whatever has its methods. A full or closed one is no fault: what is kept lasts as long as the page then.
import type { OutboxStore } from './outbox.ts'
import type { OutgoingMessage } from './stream.ts'

/** What is needed of localStorage. */
export interface KeyValues {
  readonly length: number
  key(i: number): string | null
  getItem(key: string): string | null
  setItem(key: string, value: string): void
  removeItem(key: string): void
}

function keysOf(storage: KeyValues, prefix: string): string[] {
  const out: string[] = []
  for (let i = 0; i < storage.length; i++) {
    const key = storage.key(i)
    if (key?.startsWith(prefix)) out.push(key)
  }
  return out
}

function parse(text: string | null): unknown {
  try {
    return JSON.parse(text ?? 'null')
  } catch {
    return null
  }
}

const isObject = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null

/** outboxIn keeps an outbox, one entry a message, so that two tabs do not overwrite each other. What is unreadable there is passed over. */
export function outboxIn(storage: KeyValues, prefix: string): OutboxStore {
  const written = (m: OutgoingMessage) => {
    const body = parse(m.body)
    return isObject(body) ? Number(body['msg_time']) || 0 : 0
  }
  return {
    load: () => keysOf(storage, prefix).map((key) => parse(storage.getItem(key)))
      .filter((m): m is OutgoingMessage & Record<string, unknown> => isObject(m) && ['id', 'to', 'body'].every((f) => typeof m[f] === 'string'))
      .sort((a, b) => written(a) - written(b)),
    save(m) {
      try {
        storage.setItem(prefix + m.id, JSON.stringify(m))
      } catch { /* it is sent all the same, only not after a reload */ }
    },
    remove: (id) => storage.removeItem(prefix + id),
  }
}

/** Up to which message a conversation was read. */
export interface Marker { id: string; time: number }

/** A marker that is older than the newest so many is forgotten: a store holds some megabytes in all. */
const maxMarkers = 5_000

/** Markers keep up to where each conversation was read, one entry a conversation: two tabs of one user add to each other. */
export class Markers {
  readonly #storage: KeyValues
  readonly #prefix: string
  readonly #max: number
  readonly #known = new Map<string, Marker>()

  constructor(storage: KeyValues, prefix: string, max = maxMarkers) {
    this.#storage = storage
    this.#prefix = prefix
    this.#max = max
    for (const key of keysOf(storage, prefix)) this.heard(key, storage.getItem(key))
    this.#shrink(max)
  }

  get(conversation: string): Marker | undefined {
    return this.#known.get(conversation)
  }

  set(conversation: string, marker: Marker): void {
    this.#known.set(conversation, marker)
    this.#shrink(this.#max)
    try {
      this.#storage.setItem(this.#prefix + conversation, JSON.stringify(marker))
    } catch {
      this.#shrink(Math.floor(this.#known.size / 2)) // full: the next one finds room
    }
  }

  /** heard takes what another tab has written (the storage event), and says whose marker it was; undefined when it was none. */
  heard(key: string | null, value: string | null): string | undefined {
    if (!key?.startsWith(this.#prefix)) return undefined
    const conversation = key.slice(this.#prefix.length)
    const m = parse(value)
    if (!isObject(m) || typeof m['id'] !== 'string' || typeof m['time'] !== 'number') return undefined
    this.#known.set(conversation, { id: m['id'], time: m['time'] })
    return conversation
  }

  #shrink(max: number): void {
    if (this.#known.size <= max) return
    const oldest = [...this.#known].sort((a, b) => a[1].time - b[1].time).slice(0, this.#known.size - Math.floor(max * 0.9))
    for (const [conversation] of oldest) {
      this.#known.delete(conversation)
      this.#storage.removeItem(this.#prefix + conversation)
    }
  }
}
