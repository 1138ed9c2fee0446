// What the endpoints below admin/ answer: httpapi/HTTP.md, "For administrators". Unknown times and empty texts are absent; times are milliseconds.

export interface Part { ok: boolean; state: string; text?: string; since?: number }
export interface Sample { at: number; messages: number; deliveries: number; commits: number; commit_ms_p99: number; queue: number; sessions: number }
export interface Loss { at: number; what: string; back?: boolean; text: string }

export interface State {
  version: string; component: string; domain: string; server: string; started: number; now: number
  ready: boolean; reasons: string[]; degraded: boolean; warnings: string[]
  link: Part; database: Part & { engine: string; version: string; last_commit?: number }; users: Part; messages: Part
  queue: { waiting: number; in_flight: number; backlog: number; unconfirmed: number; rows_due: number }
  devices: number
  pushes: { channel: string; waiting: number; failing: boolean; text?: string }[]
  totals: { messages: number; deliveries: number; commits: number; losses: number; refused: number }
  samples: Sample[]
  losses: Loss[]
}

export interface Device { resource: string; class: string; show?: string; since?: number }
export interface User {
  user_id: string; user_name?: string; acct_login?: string; left: boolean; learned: boolean
  confirms: string; last_message?: number; online: Device[]
}
export interface UserDetail extends User {
  user_email?: string; groups: number; tokens_ended: number
  queue: { waiting: number; oldest?: number; unconfirmed: number }
  push: { registered: boolean; code?: string; os?: string }
}

export interface Group {
  session_id: string; session_name?: string; session_type: number; session_user?: string; closed: boolean; members: number; created?: number; last_message?: number
}
export interface Member { user_id: string; user_name?: string; since?: number; waiting: number; unconfirmed: number; online: Device[] }

export interface Waiting { msg_id: string; msg_type: string; msg_from: string; session_id: string; msg_time?: number; state: string; waits_since?: number; web_had_it: boolean }

/** A message that was refused. */
export interface Refusal { at: number; code: string; text: string; msg_id?: string; msg_type?: string; msg_from?: string; msg_to?: string }

export interface Fact { what: string; at?: number; text: string }
export interface Trace {
  msg_id: string; known: boolean
  messages: { id_: string; msg_type: string; msg_from: string; msg_to: string; session_id: string; msg_time: string; bytes: number; routed: boolean; settled: boolean; foreign: boolean }[]
  remembered: { what: string; state: string; msg_from: string; conversation: string; msg_time: string }[]
  offline: { user_id: string; msg_status: number; id_: string; since?: number }[]
  receipts: { reader: string; sender: string; status: number }[]
  pushes: { channel: string; done: boolean; tries: number; made: number; due: number; to: { user_id: string; outcome: string }[] }[]
  files: string[]
  cut: string[]
  unconfirmed: { user_id: string; state: string; sent?: number }[]
  confirmed: { user_id: string; how: string; at?: number }[]
  refused: Refusal[]
  explanation?: { user_id: string; verdict: string; text: string; facts: Fact[] }
}

export interface Notice {
  call_id: string; caller: string; msg_type: string; title?: string; time: number; open: boolean
  receivers: number; stored: number; delivered: number; pushed: number; read: number; reminded?: number
}
export interface Receiver { user_id: string; msg_id: string; msg_time?: string; stored?: string; delivered?: string; pushed?: string; read: number }

export interface Push {
  push_id: string; channel: string; msg_id: string; msg_type: string; platforms?: string; made: number; tries: number; done: boolean; due: number
  outcome: string; to: { user_id: string; outcome: string }[]; receivers: number
}

export interface Callers {
  since: number
  calls: { caller: string; endpoint: string; status: string; calls: number }[]
  keyless: { address: string; endpoint: string; allowed: boolean; calls: number }[]
  unasked: { class: string; messages: number; clients: number }[]
  unasking: { user_id: string; class: string }[]
}

export interface Cleanup {
  enabled: boolean; counting: boolean; count_error?: string
  counted?: { at: number; tables: { table: string; kept_days: number; rows: number; left_alone: number }[] }
  run?: CleanupRun
}
export interface CleanupRun {
  state: string; by?: string; nightly: boolean; started: number; ended?: number; table?: string; error?: string
  removed: { table: string; rows: number }[]
}

export interface Setting { key: string; value?: string; source: string }
export interface Doctor { running: boolean; started?: number; ended?: number; failures: number; warnings: number; lines: { id: string; state: string; text: string; remedy?: string }[] }

export interface Key { name: string; source: string; scopes: string[]; rate: number; made?: number; made_by?: string; ended?: number; ended_by?: string; can_end: boolean; in_use: boolean; where?: string }
export interface Change { audit_id: string; time: number; who: string; address: string; what: string; target?: string; detail?: string; outcome: string }
