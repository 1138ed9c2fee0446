// The kinds of messages and what their bodies hold: PROTOCOL.md, "Message types". A body is always an array of these objects.

export interface TextBody { text: string }

/** Of pictures, files and voice. Only fileId is the protocol's; the other fields travel along, and clients without them do without. */
export interface FileBody { fileId: string; fileName?: string; fileSize?: number; width?: number; height?: number; seconds?: number }

export interface ConferenceBody { confId: string; confPwd?: string; confName?: string; confHost?: string; confTime?: string }

/** Of receipts, revokes, confirmations and acknowledgements: one object for each message that is meant. */
export interface ReferenceBody { msg_id: string; msg_time?: string; session_id?: string }

export interface Subscriber { user_id: string; user_name?: string }

export interface ApprovalBody { bizId?: string; docTitle?: string; solId?: string; spType?: string; wzType?: string; taskId?: string }

export interface SystemBody {
  title?: string; content?: string; ts?: string; url?: string; mark?: string; random?: string
  /** 0 approval, 1 returned, 2 notice, 3 payslip, 4 mail, 9999 none. */
  type?: string
  typeName?: string
}

type InGroup<T> = T & { session_id: string }

/** What the body of each documented kind holds. Other types of the four families travel as well, with any body. */
export interface Bodies {
  'MTT-000': TextBody
  'MTT-001': FileBody
  'MTT-002': FileBody
  'MTT-003': FileBody
  'MTT-004': ConferenceBody
  'MTT-100': ReferenceBody
  'MTT-101': ReferenceBody
  'MTT-102': Record<string, never>
  'MTT-200': { info?: string }
  'MTT-201': { status: string }
  'MTS-000': InGroup<TextBody>
  'MTS-001': InGroup<FileBody>
  'MTS-002': InGroup<FileBody>
  'MTS-003': InGroup<FileBody>
  'MTS-004': InGroup<ConferenceBody>
  'MTS-100': InGroup<ReferenceBody>
  'MTS-101': InGroup<ReferenceBody>
  'MTS-102': InGroup<{ session_name: string }>
  'MTS-103': InGroup<{ subscribers: Subscriber[] }>
  'MTS-104': InGroup<{ user_id: string; user_name?: string }>
  'MTS-105': InGroup<{ session_user: string; subscribers: Subscriber[] }>
  'MTS-106': InGroup<{ subscribers: Subscriber[] }>
  'MTS-107': InGroup<object>
  'MTB-000': ApprovalBody
  'MTB-001': Record<string, unknown>
  'MTB-100': SystemBody
  'MTC-000': ReferenceBody
  'MTC-100': ReferenceBody
}

export type Kind = keyof Bodies

/** The four families: one to one, groups, business messages, commands. */
export type Family = 'chat' | 'group' | 'business' | 'command'

const families: Record<string, Family> = { MTT: 'chat', MTS: 'group', MTB: 'business', MTC: 'command' }

/** family says to which family a type belongs; undefined when it is none that tlim takes. */
export function family(type: string): Family | undefined {
  return /^MT[TSBC]-[0-9A-Za-z]{1,16}$/.test(type) ? families[type.slice(0, 3)] : undefined
}

export const isReceipt = (type: string) => type === 'MTT-100' || type === 'MTS-100'
export const isRevoke = (type: string) => type === 'MTT-101' || type === 'MTS-101'
