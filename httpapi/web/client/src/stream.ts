// What the client needs of an XMPP library. strophe.ts is one for browsers; tests and other platforms bring their own.

export interface Account {
  /** The user's id: the local part, unescaped. */
  user: string
  password: string
  domain: string
  resource: string
}

export interface StanzaError { condition: string; type: string; text: string; code: string }

export interface IncomingMessage {
  id: string
  /** Bare or full JID. */
  from: string
  type: string
  body: string | null
  subject: string
  /** XEP-0184: the sender asks for a receipt. */
  requested: boolean
  error: StanzaError | null
}

export interface OutgoingMessage { id: string; to: string; body: string }

/** Why a stream ended: the account was refused, or something on the way broke. */
export type Ending = 'refused' | 'broken'

export interface StreamEvents {
  opened(jid: string): void
  ended(why: Ending, detail: string): void
  /** The stream goes on, but what came in between may be lost: a request that carried it failed, and was repeated. */
  doubted(): void
  message(m: IncomingMessage): void
  /** Somebody's presence: available, away, xa, dnd, chat or offline. */
  presence(user: string, resource: string, show: string): void
}

export interface Token { token: string; expires: number }

export interface Stream {
  open(account: Account, events: StreamEvents): void
  /** Ends the stream without an event. */
  close(): void
  send(m: OutgoingMessage): void
  /** XEP-0184: <received/> for the message id, to whoever sent it. */
  confirm(to: string, id: string): void
  /** Presence to the server, and directed to the component, which knows the device from then on. */
  available(component: string): void
  token(component: string, timeout: number): Promise<Token>
  ping(to: string, timeout: number): Promise<void>
}
