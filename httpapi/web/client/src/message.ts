// A message as a client shows it, whether it came live, from a history or from the user's own hand.
import { type Envelope, type Item, fromFields, string } from './envelope.ts'
import { family } from './kinds.ts'

/** The end of what a Date holds. */
const latest = 8.64e15

/** The conversation of all business messages. */
export const systemConversation = 'admin'

export interface Message {
  id: string
  type: string
  from: string
  /** The partner's id, the group's id, or "admin". */
  conversation: string
  group: boolean
  mine: boolean
  body: Item[]
  opaque: boolean
  /** For people: the server's time when it is known, else the sender's. */
  time: number
  /** The stored msg_time, which orders a conversation. Unknown for what came live. */
  stored?: number
  /** Of the user's own: pending until tlim has stored it. */
  status?: 'pending' | 'sent' | 'failed'
}

/** fromEnvelope finds out to which conversation an envelope belongs, as seen by the user me. */
export function fromEnvelope(e: Envelope, me: string, stored?: number): Message {
  const group = family(e.msg_type) === 'group'
  const mine = same(e.msg_from, me)
  const named = string(e.body[0]?.['session_id'])
  const conversation = group ? named || e.session_id || e.msg_to
    : family(e.msg_type) === 'business' ? systemConversation
      : mine ? e.msg_to : e.msg_from
  return {
    id: e.msg_id, type: e.msg_type, from: e.msg_from, conversation, group, mine, body: e.body, opaque: e.opaque,
    time: stored ?? clock(e.msg_time), ...(stored === undefined ? {} : { stored }), ...(mine ? { status: 'sent' as const } : {}),
  }
}

// What came live has its sender's clock, which may be wrong or a lie: no date at all, or one that would stand above all others for years.
function clock(text: string): number {
  const now = Date.now()
  const time = Number(text)
  return time > 0 && time < now ? time : now
}

/** fromRow reads a row of a history or of the offline queue; its msg_time is the server's. */
export function fromRow(row: unknown, me: string): Message | null {
  const e = fromFields(row)
  if (!e || !e.msg_id) return null
  const time = Number(e.msg_time)
  return fromEnvelope(e, me, Math.abs(time) < latest ? time : 0)
}

/** same compares two user ids as the server does, as far as a client can: without letter case. */
export const same = (a: string, b: string) => a === b || a.toLowerCase() === b.toLowerCase()
