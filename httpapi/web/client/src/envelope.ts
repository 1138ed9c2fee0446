// The envelope: the JSON text in the body of a stanza, and the rows of histories, which have the same fields.
import { type Bodies, type Kind, family } from './kinds.ts'

/** An object of a body, before anybody has looked at its fields. */
export type Item = Record<string, unknown>

export interface Envelope {
  msg_id: string
  msg_type: string
  msg_from: string
  msg_to: string
  /** The sender's clock; of a history row the server's. Epoch milliseconds. */
  msg_time: string
  body: Item[]
  /** The body is compressed or encrypted: it is in raw, and body is empty. */
  opaque: boolean
  raw?: string
  session_id?: string
}

/** newId makes a message id. It works on pages without HTTPS as well, where crypto.randomUUID is missing. */
export function newId(): string {
  const b = crypto.getRandomValues(new Uint8Array(16))
  b[6] = (b[6]! & 0x0f) | 0x40
  b[8] = (b[8]! & 0x3f) | 0x80
  const hex = Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** encode writes an envelope as it travels. */
export function encode<K extends Kind>(id: string, type: K, from: string, to: string, body: Bodies[K][], time: number): string {
  // A "]]>" would end the stream of clients that escape badly; the escape reads the same.
  return JSON.stringify({
    compress: '0', encode: '1', encrypt: '0', version: '2.1.0',
    msg_id: id, msg_type: type, msg_from: from, msg_to: to, msg_time: String(time), body,
  }).replaceAll(']]>', ']]\\u003e')
}

/** decode reads an envelope. What is none is null: other programs may send to the same user. */
export function decode(text: string): Envelope | null {
  try {
    return fromFields(JSON.parse(text))
  } catch {
    return null
  }
}

/** fromFields takes the parsed envelope, or a row of getOffline and the histories, in which body is a string. */
export function fromFields(fields: unknown): Envelope | null {
  if (!isItem(fields)) return null
  const type = string(fields['msg_type'])
  if (!family(type)) return null
  const opaque = string(fields['compress']) === '1' || string(fields['encrypt']) === '1'
  const body = fields['body']
  const session = string(fields['session_id'])
  return {
    msg_id: string(fields['msg_id']), msg_type: type, msg_from: string(fields['msg_from']), msg_to: string(fields['msg_to']),
    msg_time: string(fields['msg_time']), opaque, body: opaque ? [] : items(body),
    ...(opaque ? { raw: typeof body === 'string' ? body : JSON.stringify(body) } : {}),
    ...(session ? { session_id: session } : {}),
  }
}

function items(body: unknown): Item[] {
  if (typeof body === 'string') {
    try {
      body = JSON.parse(body)
    } catch {
      return []
    }
  }
  if (Array.isArray(body)) return body.filter(isItem)
  return isItem(body) ? [body] : []
}

export function isItem(v: unknown): v is Item {
  return typeof v === 'object' && v !== null && !Array.isArray(v)
}

/** string reads a field that should be a string; numbers are taken too, as everywhere in this protocol. */
export function string(v: unknown): string {
  return typeof v === 'string' ? v : typeof v === 'number' ? String(v) : ''
}
