// TlimClient: one login of one user. It keeps the stream up, sends what is to be sent until it is acknowledged, and tells what comes, each once.
import { type Item, decode, encode, newId, string } from './envelope.ts'
import { TlimError } from './errors.ts'
import { Http, type HttpOptions, type Params, type Upload } from './http.ts'
import { type Bodies, type Kind, type Subscriber, family, isReceipt, isRevoke } from './kinds.ts'
import { type Message, fromEnvelope, fromRow, same } from './message.ts'
import { Outbox, type OutboxStore, type Timers, realTimers } from './outbox.ts'
import { Recent } from './recent.ts'
import type { Account, Ending, IncomingMessage, Stream, Token } from './stream.ts'

export interface Options {
  domain: string
  /** tlim's own address: "tlim.im.example.com". */
  component: string
  stream: Stream
  /** Where the HTTP API is; the page's own origin when left out. */
  base?: string
  /** Keeps what is not acknowledged yet over a reload. */
  store?: OutboxStore
  fetch?: HttpOptions['fetch']
  timers?: Timers
  /** 0 to 1, for the back-off: tests want it to be known. */
  random?: () => number
}

export type State =
  /** Before login, after logout, and after the account was refused (error says why). */
  | { phase: 'out'; error?: TlimError }
  | { phase: 'connecting'; again: boolean }
  | { phase: 'online' }
  /** The link broke; the next try is at retryAt (epoch milliseconds). */
  | { phase: 'waiting'; retryAt: number; error: TlimError }

export interface Receipt { reader: string; conversation: string; group: boolean; ids: string[] }
export interface Revocation { ids: string[]; by: string; conversation: string }

export interface Events {
  state: State
  /** The stream is up. After a break, or a request that failed (again), copies may have passed by: read the newest page of what you show. */
  online: { again: boolean }
  message: Message
  /** Somebody else has read messages of this user; or this user, on another device (reader is the user then). */
  receipt: Receipt
  /** Messages are gone. The revoke itself comes as a message, too. */
  revoked: Revocation
  /** tlim has stored a message of this user. */
  acknowledged: { id: string; time: number }
  /** tlim has refused a message, for good. */
  refused: { id: string; error: TlimError }
  /** What the best of a user's devices shows, as far as the server tells of them: those of the roster. */
  presence: { user: string; show: string }
  /** A command (MTC-*), or a stanza that no message of this protocol is. */
  command: Message
}

/** Tries after a break: at once, then slower. */
const firstRetry = 1000
const longestRetry = 30_000
/** So long a server that refuses an account that was logged in may be in trouble. */
const longestRefusal = 300_000
/** A silent stream is asked whether it lives so often, and is given so long for the answer. */
const pingEvery = 45_000
const pingTimeout = 20_000
const tokenTimeout = 15_000
/** So many messages one receipt or revoke names at most. */
const maxReferences = 200

export interface Page { messages: Message[]; total: number; complete: boolean; next?: string }
/** robot: with somebody who is no person, but a program that speaks by the HTTP API. */
export interface Conversation { id: string; group: boolean; type: number; name: string; picture: string; owner: string; modified: number; robot: boolean }
export interface Group { id: string; name: string; owner: string; type: number; members: Member[] }
export interface Member { id: string; name: string; picture: string; robot: boolean }
export interface Skipped { user: string; reason: string }
export interface Announcement { id: string; title: string; content: string; author: string; time: number }
export interface Unread { conversation: string; count: number; newest: number }

export class TlimClient {
  readonly http: Http
  readonly #o: Options
  readonly #timers: Timers
  readonly #outbox: Outbox
  readonly #seen = new Recent(20_000)
  readonly #listeners = new Map<keyof Events, Set<(e: never) => void>>()
  #account: Account | null = null
  #state: State = { phase: 'out' }
  #failures = 0
  #again = false
  #timer: unknown
  #ping: unknown
  #jid = ''
  /** How many streams there were: an answer may belong to one that is gone. */
  #streams = 0
  /** What each device of others shows, by user and resource. */
  #shows = new Map<string, Map<string, string>>()
  #refusedSince = 0

  constructor(options: Options) {
    this.#o = options
    this.#timers = options.timers ?? realTimers
    this.#outbox = new Outbox(options.store, this.#timers)
    this.http = new Http({
      base: options.base ?? '', newToken: () => this.#newToken(), ...(options.fetch ? { fetch: options.fetch } : {}),
    })
  }

  get state(): State {
    return this.#state
  }

  /** The user's id, "" before a login. */
  get user(): string {
    return this.#account?.user ?? ''
  }

  /** This device: a full JID, once the stream was up. */
  get jid(): string {
    return this.#jid
  }

  on<E extends keyof Events>(event: E, listener: (e: Events[E]) => void): () => void {
    const set = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, set)
    set.add(listener)
    return () => set.delete(listener)
  }

  // --- the stream ---

  /** login opens the stream. The promise is kept when it is up, and broken when the account is refused; a link that is away is tried again. */
  login(user: string, password: string): Promise<void> {
    const name = user.trim().toLowerCase()
    this.#account = { user: name, password, domain: this.#o.domain, resource: `${newId().slice(0, 8)}[web]` }
    this.#failures = 0
    this.#again = false
    return new Promise((ok, no) => {
      const off = this.on('state', (s) => {
        if (s.phase === 'online') ok()
        else if (s.phase === 'out') no(s.error ?? new TlimError('aborted'))
        else return
        off()
      })
      this.#open()
    })
  }

  logout(): void {
    this.#account = null
    this.#timers.clear(this.#timer)
    this.#timers.clear(this.#ping)
    this.#outbox.disconnected()
    this.http.forget()
    this.#o.stream.close()
    this.#become({ phase: 'out' })
  }

  /** retry tries to connect now instead of at retryAt: the network is back, or somebody does not want to wait. */
  retry(): void {
    if (this.#state.phase === 'waiting') this.#open()
    else if (this.#state.phase === 'online') this.#probe()
  }

  #open(): void {
    this.#timers.clear(this.#timer)
    const account = this.#account
    if (!account) return
    this.#become({ phase: 'connecting', again: this.#again })
    this.#o.stream.open(account, {
      opened: (jid) => this.#opened(jid),
      ended: (why, detail) => this.#ended(why, detail),
      doubted: () => this.#doubted(),
      message: (m) => this.#message(m),
      presence: (user, resource, show) => this.#presence(user, resource, show),
    })
  }

  #opened(jid: string): void {
    if (!this.#account) return this.#o.stream.close()
    this.#jid = jid
    this.#streams++
    this.#failures = this.#refusedSince = 0
    // Who went while the link was down says nothing any more; who is there says so again.
    for (const user of this.#shows.keys()) this.#emit('presence', { user, show: 'offline' })
    this.#shows.clear()
    this.#o.stream.available(this.#o.component)
    this.#outbox.connected((m) => this.#o.stream.send(m))
    this.#watch()
    const again = this.#again
    this.#again = true
    this.#become({ phase: 'online' })
    this.#emit('online', { again })
  }

  #ended(why: Ending, detail: string): void {
    this.#timers.clear(this.#ping)
    this.#outbox.disconnected()
    if (!this.#account) return
    // A refusal after a login that worked is the server's trouble (it starts, its database is away), not a wrong password.
    // One that lasts is a password that was changed: to go on trying it would lock the account.
    const now = Date.now()
    if (why !== 'refused') this.#refusedSince = 0
    else if (this.#refusedSince === 0) this.#refusedSince = now
    if (why === 'refused' && (!this.#again || now - this.#refusedSince > longestRefusal)) {
      this.#account = null
      return this.#become({ phase: 'out', error: new TlimError('refused', detail) })
    }
    const delay = Math.min(firstRetry * 2 ** this.#failures, longestRetry) * (0.75 + 0.5 * (this.#o.random ?? Math.random)())
    this.#failures++
    this.#timer = this.#timers.set(() => this.#open(), delay)
    this.#become({ phase: 'waiting', retryAt: Date.now() + delay, error: new TlimError('network', detail) })
  }

  // A link that died without a word is noticed by a question that gets no answer. The server is asked: tlim may be away while it is up.
  #watch(): void {
    this.#timers.clear(this.#ping)
    this.#ping = this.#timers.set(() => this.#probe(), pingEvery)
  }

  // The answer to a question that is asked now comes behind all that the server sends by a request that failed, or loses with it.
  #doubted(): void {
    if (this.#state.phase === 'online') this.#probe(() => this.#emit('online', { again: true }))
  }

  #probe(alive?: () => void): void {
    const stream = this.#streams
    const answered = () => {
      if (this.#state.phase !== 'online' || this.#streams !== stream) return
      this.#watch()
      alive?.()
    }
    this.#o.stream.ping(this.#o.domain, pingTimeout).then(answered, (e: unknown) => {
      if (e instanceof TlimError && e.code !== 'timeout' && e.code !== 'offline') return answered() // an error is an answer
      if (this.#state.phase !== 'online' || this.#streams !== stream) return
      this.#o.stream.close()
      this.#ended('broken', 'no answer')
    })
  }

  #become(s: State): void {
    this.#state = s
    this.#emit('state', s)
  }

  #emit<E extends keyof Events>(event: E, e: Events[E]): void {
    for (const listener of this.#listeners.get(event) ?? []) (listener as (e: Events[E]) => void)(e)
  }

  async #newToken(): Promise<Token> {
    if (this.#state.phase !== 'online') throw new TlimError('offline')
    return this.#o.stream.token(this.#o.component, tokenTimeout)
  }

  // --- what comes ---

  #presence(user: string, resource: string, show: string): void {
    const key = user.toLowerCase()
    const devices = this.#shows.get(key) ?? new Map<string, string>()
    if (show !== 'offline') devices.set(resource, show)
    else if (resource) devices.delete(resource)
    else devices.clear()
    if (devices.size > 0) this.#shows.set(key, devices)
    else this.#shows.delete(key)
    const best = ['chat', 'available', 'dnd', 'away', 'xa'].find((s) => [...devices.values()].includes(s))
    this.#emit('presence', { user: key, show: best ?? (devices.size > 0 ? 'available' : 'offline') })
  }

  #message(m: IncomingMessage): void {
    this.#watch()
    if (m.error) {
      // What was sent went to tlim, whatever a stanza of somebody else says.
      if (m.from.split('/')[0]!.toLowerCase() === this.#o.component.toLowerCase()) this.#outbox.refused(m.id, m.error)
      return
    }
    // Strangers who ask would learn that this device is there.
    if (m.requested && m.id && this.#served(m.from)) this.#o.stream.confirm(m.from, m.id)
    const e = m.body === null ? null : decode(m.body)
    if (!e) return
    // Only tlim and the server may speak for somebody: another user can send a stanza with any msg_from.
    if (!this.#trusted(m.from, e.msg_from, e.msg_type)) return
    if (e.msg_type === 'MTC-100') {
      for (const item of e.body) this.#outbox.acknowledged(string(item['msg_id']), Number(item['msg_time']) || Date.now())
      return
    }
    const message = fromEnvelope(e, this.user)
    // A copy of one's own message proves as well that it is stored.
    if (message.mine) this.#outbox.acknowledged(message.id, message.time)
    if (family(e.msg_type) === 'command') return this.#emit('command', message)
    const key = e.msg_id || m.id
    if (key && !this.#seen.add(`${e.msg_type.slice(0, 3)} ${key}`)) return
    this.#deliver(message)
  }

  // Whether a stanza can be one of tlim's: of C, or, with xmpp.sender: user, of a bare address in D, which no client sends from.
  #served(from: string): boolean {
    const [bare = '', resource] = from.toLowerCase().split('/')
    const domain = bare.slice(bare.indexOf('@') + 1)
    return domain === this.#o.component.toLowerCase() || (resource === undefined && domain === this.#o.domain.toLowerCase())
  }

  // Copies come from <sender>@C or, with xmpp.sender: user, from <sender>@D. What comes from another address in D came past tlim.
  #trusted(from: string, sender: string, type: string): boolean {
    const bare = from.split('/')[0]!.toLowerCase()
    if (bare === this.#o.component.toLowerCase() || bare.endsWith(`@${this.#o.component.toLowerCase()}`)) return true
    if (family(type) === 'business' || type === 'MTC-100') return false
    return !from.includes('/') && bare.endsWith(`@${this.#o.domain.toLowerCase()}`) && bare.startsWith(`${sender.toLowerCase()}@`)
  }

  #deliver(m: Message): void {
    if (isReceipt(m.type)) {
      const ids = m.body.map((item) => string(item['msg_id'])).filter(Boolean)
      this.#emit('receipt', { reader: m.from, conversation: m.conversation, group: m.group, ids })
      return
    }
    if (isRevoke(m.type)) this.#emit('revoked', { ids: m.body.map((item) => string(item['msg_id'])).filter(Boolean), by: m.from, conversation: m.conversation })
    this.#emit('message', m)
  }

  // --- sending ---

  /** restore takes up messages that an earlier page could not send any more, and returns them; they go out with the next stream. */
  restore(user: string): Message[] {
    return this.#outbox.restore().map((m) => {
      const e = decode(m.body)
      if (!e) return null
      void this.#follow(m.id, this.#outbox.settled(m.id)!).catch(() => undefined)
      return { ...fromEnvelope(e, user), status: 'pending' as const }
    }).filter((m): m is Message & { status: 'pending' } => m !== null)
  }

  /**
   * send sends a message of any kind, and returns it as it is to be shown at once (status pending) with the promise of its acknowledgement.
   * It is repeated under its id until tlim acknowledges or refuses it.
   */
  send<K extends Kind>(type: K, to: string, body: Bodies[K][], id = newId()): { message: Message; stored: Promise<number> } {
    const text = encode(id, type, this.user, to, body, Date.now())
    const message = fromEnvelope(decode(text)!, this.user)
    message.status = 'pending'
    this.#seen.add(`${type.slice(0, 3)} ${id}`)
    const stored = this.#follow(id, this.#outbox.add({ id, to: this.#o.component, body: text }))
    stored.catch(() => undefined) // refused tells it as well
    return { message, stored }
  }

  async #follow(id: string, stored: Promise<number>): Promise<number> {
    try {
      const time = await stored
      this.#emit('acknowledged', { id, time })
      return time
    } catch (e) {
      const error = e instanceof TlimError ? e : new TlimError('fail', String(e))
      this.#emit('refused', { id, error })
      throw error
    }
  }

  text(to: { id: string; group: boolean }, text: string) {
    return to.group ? this.send('MTS-000', to.id, [{ session_id: to.id, text }]) : this.send('MTT-000', to.id, [{ text }])
  }

  /** file sends a reference to an uploaded file: as a picture, a file or a voice message. */
  file(to: { id: string; group: boolean }, as: 'picture' | 'file' | 'voice', body: Bodies['MTT-001']) {
    const n = as === 'picture' ? '001' : as === 'file' ? '002' : '003'
    return to.group ? this.send(`MTS-${n}`, to.id, [{ session_id: to.id, ...body }]) : this.send(`MTT-${n}`, to.id, [body])
  }

  upload(file: Blob, name: string, upload?: Upload): Promise<string> {
    return this.http.upload(file, name, upload)
  }

  /** read tells the authors, and this user's other devices, that the messages have been read. */
  async read(of: { id: string; group: boolean }, ids: string[], sent?: (id: string) => void): Promise<void> {
    for (let i = 0; i < ids.length; i += maxReferences) {
      const some = ids.slice(i, i + maxReferences)
      const { message, stored } = of.group ? this.send('MTS-100', of.id, some.map((msg_id) => ({ session_id: of.id, msg_id })))
        : this.send('MTT-100', of.id, some.map((msg_id) => ({ msg_id })))
      sent?.(message.id)
      await stored
    }
  }

  /** revoke takes messages back. The promise is broken with error-011 when it is too late, or not one's own. */
  revoke(of: { id: string; group: boolean }, ids: string[]) {
    return of.group ? this.send('MTS-101', of.id, ids.map((msg_id) => ({ session_id: of.id, msg_id })))
      : this.send('MTT-101', of.id, ids.map((msg_id) => ({ msg_id })))
  }

  // --- conversations and histories ---

  async conversations(): Promise<Conversation[]> {
    const answer = await this.http.call('findWebSessions', { user_id: this.user, valid: 0 })
    return list(answer, 'sessions').map((s) => {
      const type = Number(s['session_type'])
      const system = type === 100
      return {
        id: system ? 'admin' : string(s['session_id']), group: type !== 99 && !system, type, name: string(s['session_name']),
        picture: string(s['session_pic']), owner: string(s['session_user']),
        modified: Number(s['session_modify_time'] ?? s['session_create_time']) || 0, robot: s['robot'] === true,
      }
    })
  }

  async unread(): Promise<Unread[]> {
    const answer = await this.http.call('findUnread', { user_id: this.user })
    return list(answer, 'unreadList').map((u) => ({ conversation: string(u['session_id']), count: Number(u['unread']), newest: Number(u['msg_time']) }))
  }

  /** history reads a page, newest first; before is the place where an older page begins (Timeline.oldest), text searches. */
  async history(of: { id: string; group: boolean }, options: { before?: string; length?: number; text?: string } = {}): Promise<Page> {
    const length = options.length ?? 50
    const range = { length, before: options.before, text: options.text, ...(options.before ? {} : { start: 0 }) }
    const [endpoint, params]: [string, Params] = of.id === 'admin' ? ['findSystemHistory', { msg_to: this.user, type: 'MTB', length, before: options.before, ...(options.before ? {} : { start: 0 }) }]
      : of.group ? ['findSessionHistory', { session_id: of.id, ...range }]
        : ['findChatHistory', { session_id: of.id, user_id: this.user, ...range }]
    const answer = await this.http.call(endpoint, params)
    const rows = list(answer, 'message_list')
    const messages = rows.map((row) => fromRow(row, this.user)).filter((m): m is Message => m !== null)
    for (const m of messages) m.conversation = of.id
    const complete = options.text ? !string(answer['next']) : rows.length < length
    const last = rows[rows.length - 1]
    // Old tables have rows that are no messages of this protocol, without a msg_id among them: the next page begins behind them all the same.
    const next = options.text ? string(answer['next']) : last && !complete ? `${string(last['msg_time'])},${string(last['msg_id'])}` : ''
    return { messages, total: Number(answer['total']) || 0, complete, ...(next ? { next } : {}) }
  }

  /** readers says of the user's own messages in a page how many have read each. */
  async readCounts(of: { id: string; group: boolean }, options: { before?: string; length?: number } = {}): Promise<Map<string, number>> {
    const range = { length: options.length ?? 50, before: options.before, ...(options.before ? {} : { start: 0 }) }
    const answer = of.group ? await this.http.call('findSessionRead', { session_id: of.id, sender: this.user, ...range })
      : await this.http.call('findChatRead', { msg_from: this.user, msg_to: of.id, ...range })
    return new Map(list(answer, 'messageReadList').map((r) => [string(r['msg_id']), Number(r['readNum'])]))
  }

  /** readers says who has read a message of the user's own, and who has not. */
  async readers(id: string): Promise<{ read: string[]; unread: string[] }> {
    const [read, unread] = await Promise.all(['', '1'].map((flag) => this.http.call('findStatusList', { msg_id: id, sender: this.user, unread: flag || undefined })))
    const names = (answer: Item) => list(answer, 'ofStatusList').map((r) => string(r['reader']))
    return { read: names(read!), unread: names(unread!) }
  }

  clearHistory(other: string): Promise<unknown> {
    return this.http.call('clearChatHistory', { user_id: this.user, other_id: other })
  }

  /**
   * offline fetches what waits for the user's phones, in pages, oldest first, and clears what the caller has kept: keep is called with each page, and the
   * next call names it. For clients that are a phone; a page that called it would take the messages away from the phone. With peek nothing is cleared.
   */
  async offline(keep: (messages: Message[]) => void | Promise<void>, options: { peek?: boolean; limit?: number } = {}): Promise<void> {
    const limit = options.limit ?? 200
    let have: string[] = []
    for (;;) {
      const answer = await this.http.call('getOffline', { user_id: this.user, getThenClear: 1, limit, clear: have.length > 0 ? have.join(',') : undefined })
      const rows = list(answer, 'message_list')
      if (rows.length === 0) return
      const messages: Message[] = []
      for (const row of rows) {
        const m = fromRow(row, this.user)
        if (!m) continue
        m.conversation = string(row['session_id']) || m.conversation
        if (this.#seen.add(`${m.type.slice(0, 3)} ${m.id}`)) messages.push(m)
      }
      await keep(messages)
      if (options.peek) return
      have = rows.map((row) => string(row['msg_id'])).filter(Boolean)
      if (have.length === 0) return
    }
  }

  // --- groups: each change is made over HTTP, and then told to the members ---

  async group(id: string): Promise<Group> {
    const answer = await this.http.call('findSubscribers', { session_id: id })
    return {
      id, name: string(answer['session_name']), owner: string(answer['session_user']), type: Number(answer['session_type']),
      members: list(answer, 'subscribers').map((m) => ({ id: string(m['user_id']), name: string(m['user_name']) || string(m['user_id']), picture: string(m['pic']), robot: m['robot'] === true })),
    }
  }

  async createGroup(members: Subscriber[], name?: string): Promise<{ id: string; name: string; skipped: Skipped[] }> {
    const all = [{ user_id: this.user }, ...members.filter((m) => !same(m.user_id, this.user)).map(({ user_id }) => ({ user_id }))]
    const answer = await this.http.call('addSession', { session_type: 0, request_user: this.user, subscribers: JSON.stringify(all) })
    const id = string(answer['session_id'])
    let called = string(answer['session_name'])
    if (name) {
      await this.http.call('modifySession', { session_id: id, session_name: name })
      called = name
    }
    const taken = list(answer, 'subscribers').map((m) => ({ user_id: string(m['user_id']) }))
    await this.send('MTS-105', id, [{ session_id: id, session_user: this.user, subscribers: taken }]).stored
    return { id, name: called, skipped: skipped(answer) }
  }

  async rename(id: string, name: string): Promise<void> {
    await this.http.call('modifySession', { session_id: id, session_name: name })
    await this.send('MTS-102', id, [{ session_id: id, session_name: name }]).stored
  }

  async invite(id: string, members: Subscriber[]): Promise<Skipped[]> {
    const answer = await this.http.call('modifySession', { session_id: id, subscribers: JSON.stringify(members.map(({ user_id }) => ({ user_id, type: 'add' }))) })
    const left = skipped(answer)
    const added = members.filter((m) => !left.some((s) => same(s.user, m.user_id)))
    if (added.length > 0) await this.send('MTS-106', id, [{ session_id: id, subscribers: added }]).stored
    return left
  }

  async remove(id: string, members: Subscriber[]): Promise<void> {
    await this.http.call('modifySession', { session_id: id, subscribers: JSON.stringify(members.map(({ user_id }) => ({ user_id, type: 'del' }))) })
    await this.send('MTS-103', id, [{ session_id: id, subscribers: members }]).stored
  }

  async leave(id: string, name?: string): Promise<void> {
    await this.http.call('modifySession', { session_id: id, subscribers: JSON.stringify([{ user_id: this.user, type: 'del' }]) })
    await this.send('MTS-104', id, [{ session_id: id, user_id: this.user, ...(name ? { user_name: name } : {}) }]).stored
  }

  /** dissolve ends a group: the server tells every member. */
  async dissolve(id: string): Promise<void> {
    await this.http.call('dissolved', { session_id: id })
  }

  /** closeConversation takes a group out of the list; the next message brings it back. */
  async closeConversation(id: string): Promise<void> {
    await this.http.call('switchSession', { session_id: id, session_valid: 1 })
  }

  /** findUsers searches the directory by name, id or initials of the pinyin. Who may see whom is a setting of the server; next goes on as after. */
  async findUsers(text: string, options: { after?: string; length?: number } = {}): Promise<{ users: Member[]; next?: string }> {
    const answer = await this.http.call('findUsers', { text: text || undefined, after: options.after, length: options.length ?? 50 })
    const users = list(answer, 'users').map((u) => ({ id: string(u['user_id']), name: string(u['user_name']) || string(u['user_id']), picture: string(u['pic']), robot: u['robot'] === true }))
    const next = string(answer['next'])
    return { users, ...(next ? { next } : {}) }
  }

  async presence(group: string): Promise<Map<string, string>> {
    const answer = await this.http.ask('findPresence', { session_id: group })
    return new Map(Array.isArray(answer) ? answer.map((p: Item) => [string(p['user_id']), string(p['status'])]) : [])
  }

  async announcements(group: string): Promise<Announcement[]> {
    const answer = await this.http.call('findPubactList', { session_id: group })
    return list(answer, 'pubactList').map((a) => ({ id: string(a['id_']), title: string(a['title']), content: string(a['content']), author: string(a['user_id']), time: Number(a['ts']) || 0 }))
  }

  /** findUserPresence says of users whether they are available, away or offline; who may not be seen is left out. */
  async findUserPresence(users: string[]): Promise<Map<string, string>> {
    const answer = await this.http.call('findUserPresence', { user_ids: JSON.stringify(users) })
    return new Map(list(answer, 'presence').map((p) => [string(p['user_id']), string(p['status'])]))
  }

  announce(group: string, title: string, content: string): Promise<unknown> {
    return this.http.call('addPubact', { session_id: group, user_id: this.user, title, content })
  }

  editAnnouncement(id: string, title: string, content: string): Promise<unknown> {
    return this.http.call('modifyPubact', { id_: id, title, content })
  }

  deleteAnnouncement(id: string): Promise<unknown> {
    return this.http.call('deletePubact', { id_: id })
  }
}

function list(answer: Item, field: string): Item[] {
  const rows = answer[field]
  return Array.isArray(rows) ? rows as Item[] : []
}

const skipped = (answer: Item): Skipped[] => list(answer, 'skipped').map((s) => ({ user: string(s['user_id']), reason: string(s['reason']) }))
