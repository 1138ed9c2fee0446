// What the page knows: the conversations of the user who is logged in. Components read it and call it; it calls tlim-client.
import { type InjectionKey, inject, markRaw, reactive, ref, shallowReactive, shallowRef, watch } from 'vue'
import {
  type Conversation as Listed, type Member, type Message, type Receipt, type Skipped, type State,
  Markers, StropheStream, Timeline, TlimClient, TlimError, explain, isReceipt, outboxIn, same, string, systemConversation,
} from 'tlim-client'
import { type Config, base } from './config.ts'
import { language, t } from './i18n.ts'
import { counts } from './summary.ts'
import { oneLine, size } from 'shared/text.ts'

export interface Conversation {
  readonly id: string
  readonly group: boolean
  type: number
  name: string
  picture: string
  owner: string
  modified: number
  unread: number
  last: Message | null
  /** Rises with every change of the timeline, which Vue does not look into. */
  version: number
  readonly timeline: Timeline
  readonly uploads: Upload[]
  /** fresh: the newest page was read since the last break. */
  loaded: 'no' | 'loading' | 'fresh' | 'stale'
  loadingOlder: boolean
  error: string
  draft: string
  members: Member[] | null
  /** Of the members of a group; null while nothing is known. */
  presence: Map<string, string> | null
  /** How many have read the user's own messages, by msg_id. */
  readCounts: Map<string, number>
  /** The group is gone, or the user is not in it any more. */
  closed: boolean
  /** What came live and was not on the screen with somebody in front of it yet. */
  readonly unseen: Set<string>
  /** Of which the authors were told that they were read. */
  readonly told: Set<string>
  /** Whether the list's preview was asked for. */
  previewed: boolean
  /** The last message that had been read when the conversation was opened: where the line "new" stands. */
  newBehind: string
}

export interface Person { id: string; name: string }

export type FileKind = 'picture' | 'file' | 'voice'

/** A file on its way up; it becomes a message when it is there. */
export interface Upload { id: number; file: File; kind: FileKind; sent: number; error: string; stop: AbortController }

const pageLength = 50
const previewLength = 20
const previewsAtOnce = 3
const maxText = 3000
/** Rows of one call on the way to a message that a search found. */
const seekLength = 500
const presenceEvery = 30_000
const maxAsked = 200 // of findUserPresence

export interface Toast { id: number; text: string; kind: 'error' | 'info' }

export class Chat {
  readonly client: TlimClient
  readonly config: Config
  readonly me: string
  readonly state = shallowRef<State>({ phase: 'out' })
  readonly conversations = shallowReactive(new Map<string, Conversation>())
  readonly current = ref('')
  readonly names = reactive(new Map<string, string>())
  readonly presence = reactive(new Map<string, string>())
  readonly #robots = reactive(new Set<string>())
  readonly toasts = shallowReactive<Toast[]>([])
  readonly listError = ref('')
  readonly listed = ref(false)
  /** On the way back to a message that a search found: how many messages were read, and from when the oldest of them is. */
  readonly seeking = shallowRef<{ read: number; from: number } | null>(null)
  #markers: Markers
  /** Who has which name: a name that several have is no name of one. */
  readonly #bearers = reactive(new Map<string, number>())
  /** The spelling under which a person's conversation is kept. */
  readonly #spellings = new Map<string, string>()
  #loading = new Map<string, 'now' | 'again'>()
  /** Groups that were taken out of the list here, and how many lists had been asked for by then: one that was on its way brings none back. */
  readonly #left = new Map<string, number>()
  #lists = 0
  #stopSeeking = false
  #readers = new Map<string, Set<string>>()
  #previews: Conversation[] = []
  #previewing = 0
  #toast = 0
  #streams = 0
  #soon = 0
  #stop: (() => void)[] = []

  constructor(config: Config, user: string, client = clientOf(config, user)) {
    this.config = config
    this.me = user
    this.client = client
    this.#markers = new Markers(localStorage, `tlim.read.${config.domain}.${user}.`)
    const c = this.client
    c.on('state', (s) => {
      this.state.value = s
      if (s.phase !== 'online') this.#forgetPresence()
    })
    c.on('online', () => void this.#refresh())
    c.on('message', (m) => this.#message(m))
    c.on('receipt', (r) => this.#receipt(r))
    c.on('revoked', (r) => this.#revoked(r.conversation, r.ids))
    c.on('acknowledged', ({ id, time }) => this.#settle(id, (m) => ((m.status = 'sent'), (m.stored = m.time = time))))
    c.on('refused', ({ id, error }) => {
      if (error.code === 'aborted') return
      if (this.#settle(id, (m) => (m.status = 'failed')) || !this.#silent.delete(id)) this.fail(error)
    })
    c.on('presence', ({ user: who, show }) => this.presence.set(who, show))
    for (const m of c.restore(user)) if (!isReceipt(m.type)) this.#show(m)
    const wake = () => this.#attend()
    const back = () => c.retry()
    document.addEventListener('visibilitychange', wake)
    window.addEventListener('focus', wake)
    window.addEventListener('online', back)
    const heard = (e: StorageEvent) => this.#heard(e)
    window.addEventListener('storage', heard)
    const asking = window.setInterval(() => void this.#askPresence(), presenceEvery)
    this.#stop.push(() => window.removeEventListener('storage', heard), () => clearInterval(asking))
    this.#stop.push(() => document.removeEventListener('visibilitychange', wake), () => window.removeEventListener('focus', wake), () => window.removeEventListener('online', back))
  }

  end(): void {
    for (const stop of this.#stop) stop()
    clearTimeout(this.#soon)
    this.client.logout()
  }

  // --- names and words ---

  /** nameOf is how somebody is called; two of one name are told apart by their ids. */
  nameOf = (id: string): string => {
    const name = this.names.get(id)
    if (!name) return oneLine(id, 64)
    return (this.#bearers.get(name) ?? 0) > 1 && name !== id ? `${name} (${oneLine(id, 64)})` : name
  }

  isRobot = (id: string): boolean => this.#robots.has(id.toLowerCase())

  #call(id: string, name: string, robot?: boolean): void {
    if (robot) this.#robots.add(id.toLowerCase())
    else if (robot === false) this.#robots.delete(id.toLowerCase())
    const called = oneLine(name, 80)
    const before = this.names.get(id)
    if (!called || called === before) return
    if (before) this.#bearers.set(before, (this.#bearers.get(before) ?? 1) - 1)
    this.names.set(id, called)
    this.#bearers.set(called, (this.#bearers.get(called) ?? 0) + 1)
  }

  /** find is a conversation that is known. Ids of people are the same in any letter case, and one may be typed. */
  find(id: string, group?: boolean): Conversation | undefined {
    return this.conversations.get(id) ?? (group ? undefined : this.conversations.get(this.#spellings.get(id.toLowerCase()) ?? ''))
  }

  titleOf(c: Conversation): string {
    if (c.id === systemConversation) return t('systemMessages')
    if (!c.group) return this.nameOf(c.id)
    return oneLine(c.name, 200) || this.nameOf(c.id)
  }

  fail(e: unknown): void {
    this.say(explain(e, language.value), 'error')
  }

  say(text: string, kind: Toast['kind'] = 'info'): void {
    const id = ++this.#toast
    this.toasts.push({ id, text, kind })
    if (this.toasts.length > 3) this.toasts.shift()
    setTimeout(() => this.dismiss(id), kind === 'error' ? 8000 : 3000)
  }

  dismiss(id: number): void {
    const i = this.toasts.findIndex((x) => x.id === id)
    if (i >= 0) this.toasts.splice(i, 1)
  }

  // --- conversations ---

  conversation(id: string, group: boolean, seed: Partial<Listed> = {}): Conversation {
    let c = this.find(id, group)
    if (!c) {
      if (!group) this.#spellings.set(id.toLowerCase(), id)
      c = shallowReactive({
        id, group, type: seed.type ?? (group ? 0 : 99), name: seed.name ?? '', picture: seed.picture ?? '', owner: seed.owner ?? '', modified: seed.modified ?? 0,
        unread: 0, last: null, version: 0, timeline: markRaw(new Timeline()), uploads: shallowReactive<Upload[]>([]), loaded: 'no' as const, loadingOlder: false, error: '', draft: '',
        members: null, presence: null, readCounts: shallowReactive(new Map<string, number>()), closed: false, unseen: new Set<string>(), told: new Set<string>(), previewed: false, newBehind: '',
      })
      this.conversations.set(id, c)
      // Its name is in the server's list.
      if (!seed.name && id !== systemConversation && !this.names.has(id)) this.#refreshSoon()
    }
    return c
  }

  #refreshSoon(wait = 1000): void {
    clearTimeout(this.#soon)
    this.#soon = window.setTimeout(() => this.client.state.phase === 'online' && void this.#list(), wait)
  }

  /** seen are the conversations on the screen: of their people the page asks who is there, roster or not. */
  seen: Conversation[] = []

  async #askPresence(): Promise<void> {
    if (this.client.state.phase !== 'online' || document.visibilityState !== 'visible') return
    const open = this.find(this.current.value)
    const people = [...new Set([...(open ? [open] : []), ...this.seen])].filter((c) => !c.group && c.id !== systemConversation).slice(0, maxAsked)
    if (people.length === 0) return
    const streams = this.#streams
    try {
      const found = await this.client.findUserPresence(people.map((c) => c.id))
      if (streams !== this.#streams) return
      for (const [id, show] of found) this.presence.set(id.toLowerCase(), show)
    } catch {
      for (const c of people) this.presence.delete(c.id.toLowerCase()) // what it was a while ago is no answer; the next call asks again
    }
  }

  /** membersPresence asks who of a group is there. */
  async membersPresence(c: Conversation): Promise<void> {
    const streams = this.#streams
    const found = await this.client.presence(c.id).catch(() => null)
    if (streams === this.#streams) c.presence = found
  }

  /** #forgetPresence is for a page whose link is down: who is there it does not know. */
  #forgetPresence(): void {
    this.#streams++
    this.presence.clear()
    for (const c of this.conversations.values()) c.presence = null
  }

  /** shows is the presence of a person; undefined while nobody said anything of them. */
  shows = (id: string): string | undefined => this.presence.get(id.toLowerCase())

  #heard(e: StorageEvent): void {
    const id = this.#markers.heard(e.key, e.newValue)
    const c = id === undefined ? undefined : this.find(id)
    if (!c || c.id === this.current.value) return
    const left = this.#unreadIn(c, [...c.timeline.messages].reverse())
    c.unread = Math.min(c.unread, left.length)
    for (const id of c.unseen) if (!left.some((m) => m.id === id)) c.unseen.delete(id)
  }

  async #refresh(): Promise<void> {
    for (const c of this.conversations.values()) if (c.loaded === 'fresh') c.loaded = 'stale'
    const open = this.conversations.get(this.current.value)
    if (open) void this.#newest(open)
    if (open?.members) void this.membersPresence(open)
    await Promise.all([this.#list(), this.names.has(this.me) ? undefined : this.#ownName()])
  }

  async #ownName(): Promise<void> {
    try {
      const found = await this.client.findUsers(this.me)
      const me = found.users.find((u) => same(u.id, this.me))
      if (me) this.#call(this.me, me.name, me.robot)
    } catch { /* the directory may be closed: the id will do */ }
  }

  async #list(): Promise<void> {
    const asked = ++this.#lists
    try {
      const [list, unread] = await Promise.all([this.client.conversations(), this.client.unread()])
      const waiting = new Map(unread.map((u) => [u.conversation, u]))
      for (const item of list) {
        if ((this.#left.get(item.id) ?? 0) >= asked) continue
        const fresh = !this.find(item.id, item.group)
        const c = this.conversation(item.id, item.group, item)
        if (!fresh && item.modified > c.modified) c.previewed = false // something passed by
        Object.assign(c, { name: item.name, picture: item.picture, owner: item.owner, type: item.type, modified: Math.max(c.modified, item.modified), closed: false })
        if (item.type === 99) this.#call(item.id, item.name, item.robot)
        // Where this browser has no marker yet, what waits for the phone is what is new.
        if (fresh && !this.#markers.get(item.id)) c.unread = waiting.get(item.id)?.count ?? 0
      }
      for (const u of unread) if (!this.conversations.has(u.conversation) && u.conversation === systemConversation) {
        this.conversation(systemConversation, false, { type: 100, modified: u.newest }).unread = u.count
      }
      this.listError.value = ''
      this.listed.value = true
      void this.#askPresence()
    } catch (e) {
      this.listError.value = explain(e, language.value)
      // The link is up, and tlim is not: it is asked again as long as this login lasts.
      if (this.client.state.phase === 'online') this.#refreshSoon(5000)
    }
  }

  /** preview is called for rows that are seen: the list has no texts by itself. */
  preview(c: Conversation): void {
    if (c.previewed) return
    c.previewed = true
    this.#previews.push(c)
    this.#nextPreview()
  }

  #nextPreview(): void {
    while (this.#previewing < previewsAtOnce) {
      const c = this.#previews.shift()
      if (!c) return
      if (this.state.value.phase !== 'online') {
        c.previewed = false
        continue
      }
      this.#previewing++
      this.client.history(c, { length: previewLength }).then((page) => {
        const newest = page.messages[0]
        if (newest && (!c.last || (c.last.stored ?? c.last.time) <= newest.stored!)) c.last = newest
        if (newest) c.modified = Math.max(c.modified, newest.stored!)
        if (c.id === this.current.value || !this.#markers.get(c.id)) return
        // What came live while the page was on its way is not in it.
        const inPage = new Set(page.messages.map((m) => m.id))
        c.unread = this.#unreadIn(c, page.messages).length + [...c.unseen].filter((id) => !inPage.has(id)).length
      }).catch(() => (c.previewed = false)).finally(() => {
        this.#previewing--
        this.#nextPreview()
      })
    }
  }

  /** #unreadIn lists what of a page (newest first) lies behind the marker and was said by others. */
  #unreadIn(c: Conversation, newestFirst: readonly Message[]): Message[] {
    const marker = this.#markers.get(c.id)
    const out: Message[] = []
    for (const m of newestFirst) {
      if (marker && (m.id === marker.id || (m.stored !== undefined && m.stored <= marker.time))) break
      if (!marker && (m.mine || out.length >= c.unread)) break
      if (!m.mine && counts(m)) out.push(m)
    }
    return out
  }

  async open(c: Conversation): Promise<void> {
    const before = this.conversations.get(this.current.value)
    if (before && before !== c) before.newBehind = ''
    this.current.value = c.id
    void this.#askPresence()
    if (c.loaded === 'no' || c.loaded === 'stale') await this.#newest(c)
    else this.#attend()
  }

  openWith(id: string): Promise<void> {
    const c = this.conversation(id, false)
    if (!c.modified) c.modified = Date.now()
    return this.open(c)
  }

  /** findPeople searches the directory, and what the page knows where the directory is closed. An id that is typed whole can always be chosen. */
  async findPeople(text: string): Promise<Person[]> {
    const wanted = text.toLowerCase()
    const found = new Map<string, Person>()
    const add = (p: Person) => {
      if (!found.has(p.id.toLowerCase())) found.set(p.id.toLowerCase(), p)
    }
    try {
      // A call that looked at many and found none says where to go on.
      for (let after: string | undefined, calls = 0; calls < 5; calls++) {
        const found = await this.client.findUsers(text, after ? { after } : {})
        for (const p of found.users) {
          this.#call(p.id, p.name, p.robot)
          add(p)
        }
        after = found.next
        if (!after || found.users.length > 0) break
      }
    } catch (e) {
      if (!(e instanceof TlimError) || (e.code !== 'fail' && e.code !== 'error-011')) throw e
    }
    for (const [id, name] of this.names) if (!wanted || id.toLowerCase().includes(wanted) || name.toLowerCase().includes(wanted)) add({ id, name })
    if (/^[^\s@/]{1,64}$/u.test(text)) add({ id: text, name: text })
    return [...found.values()]
  }

  leave(): void {
    this.current.value = ''
  }

  async #newest(c: Conversation): Promise<void> {
    if (c.loaded === 'loading') return
    const first = c.loaded === 'no'
    c.loaded = 'loading'
    const mark = c.timeline.mark()
    try {
      const page = await this.client.history(c, { length: pageLength })
      if (first) {
        const unread = this.#unreadIn(c, page.messages)
        const oldest = unread[unread.length - 1]
        const at = oldest ? page.messages.indexOf(oldest) : -1
        c.newBehind = at >= 0 ? page.messages[at + 1]?.id ?? '' : ''
      }
      c.timeline.newest(page.messages, page.complete, mark, page.next)
      c.loaded = 'fresh'
      c.error = ''
      c.last = [...c.timeline.messages].pop() ?? null
      c.version++
      this.#attend()
      void this.#counts(c)
      if (c.group && (first || !c.members)) void this.loadMembers(c)
    } catch (e) {
      c.loaded = first ? 'no' : 'stale'
      this.#gone(c, e)
      c.error = explain(e, language.value)
    }
  }

  /** #gone notices that the user is not in a group any more. */
  #gone(c: Conversation, e: unknown): void {
    if (c.group && e instanceof TlimError && (e.code === 'error-009' || e.code === 'error-011')) c.closed = true
  }

  /** reload reads the newest messages anew: after a change of a group, which is told to the others alone. */
  reload(c: Conversation): Promise<void> {
    return this.#newest(c)
  }

  async older(c: Conversation, length = pageLength): Promise<void> {
    const before = c.timeline.oldest
    if (c.loadingOlder || c.timeline.complete || !before || c.loaded !== 'fresh') return
    c.loadingOlder = true
    try {
      const page = await this.client.history(c, { before, length })
      c.timeline.older(page.messages, page.complete, page.next)
      c.version++
      void this.#counts(c, before, length)
    } catch (e) {
      this.fail(e)
    } finally {
      c.loadingOlder = false
    }
  }

  async #counts(c: Conversation, before?: string, length = pageLength): Promise<void> {
    if (c.id === systemConversation) return
    try {
      const found = await this.client.readCounts(c, { length, ...(before ? { before } : {}) })
      for (const [id, n] of found) c.readCounts.set(id, Math.max(n, c.readCounts.get(id) ?? 0))
    } catch { /* the messages are shown without; the next page asks again */ }
  }

  /** loadMembers reads a group. What asks meanwhile is answered by one more reading: a member who changes something without end costs the others no more. */
  async loadMembers(c: Conversation): Promise<void> {
    if (this.#loading.has(c.id)) return void this.#loading.set(c.id, 'again')
    do {
      this.#loading.set(c.id, 'now')
      await this.#loadMembers(c)
    } while (this.#loading.get(c.id) === 'again')
    this.#loading.delete(c.id)
  }

  async #loadMembers(c: Conversation): Promise<void> {
    try {
      const g = await this.client.group(c.id)
      c.members = g.members
      c.name = g.name
      c.owner = g.owner
      for (const m of g.members) this.#call(m.id, m.name, m.robot)
      await this.membersPresence(c)
    } catch (e) {
      this.#gone(c, e)
    }
  }

  // --- what comes ---

  #message(m: Message): void {
    const c = this.#show(m)
    if (!c) return this.#late(m)
    if (!m.mine && counts(m)) {
      c.unseen.add(m.id)
      if (!this.#attended(c)) c.unread++
    }
    if (m.type === 'MTT-201' && !m.mine && string(m.body[0]?.['status']) === '0') {
      // Somebody can say so who was not asked: what is gone the server knows.
      c.loaded = c.loaded === 'no' ? 'no' : 'stale'
      c.previewed = false
      if (c.id === this.current.value) void this.#newest(c)
    }
    if (c.group && /^MTS-10[234567]$/.test(m.type)) void this.#changed(c, m)
    this.#attend()
  }

  /** #late takes a copy that a page of the history was faster than: where this browser had no marker, nobody has told yet that the message was read. */
  #late(m: Message): void {
    const c = this.find(m.conversation, m.group)
    if (!c || m.mine || !counts(m) || c.told.has(m.id) || !c.timeline.get(m.id)) return
    c.unseen.add(m.id)
    this.#attend()
  }

  #show(m: Message): Conversation | null {
    if (!m.conversation) return null
    // Who dissolves a group is told so like all others, and has no use for a row of it any more.
    if (m.type === 'MTS-107' && !this.find(m.conversation, true)) return null
    const c = this.conversation(m.conversation, m.group, { type: m.group ? 0 : m.conversation === systemConversation ? 100 : 99 })
    if (!c.timeline.add(m)) return null
    c.last = m
    c.modified = Math.max(c.modified, m.time)
    c.version++
    if (m.group && !c.name && !c.members) void this.loadMembers(c)
    return c
  }

  async #changed(c: Conversation, m: Message): Promise<void> {
    if (m.type === 'MTS-107') {
      c.closed = true
      return
    }
    c.closed = false
    await this.loadMembers(c)
  }

  #receipt(r: Receipt): void {
    if (same(r.reader, this.me)) { // read on another device
      const c = this.find(r.conversation, r.group)
      if (!c) return
      const last = r.ids.map((id) => c.timeline.get(id)).filter((m) => m !== undefined).pop()
      c.unread = 0
      for (const id of r.ids) c.unseen.delete(id)
      this.#mark(c, last ?? c.last)
      return
    }
    const c = r.group ? this.find(r.conversation, true) : this.find(r.reader) ?? this.find(r.conversation)
    if (!c) return
    for (const id of r.ids) {
      const set = this.#readers.get(id) ?? new Set()
      if (set.has(r.reader)) continue
      set.add(r.reader)
      this.#readers.set(id, set)
      c.readCounts.set(id, Math.max((c.readCounts.get(id) ?? 0) + 1, set.size))
    }
  }

  #revoked(conversation: string, ids: string[]): void {
    const c = this.find(conversation)
    if (!c) return
    const unseen = ids.map((id) => c.timeline.get(id)).filter((m) => m && !m.mine && !this.#isRead(c, m)).length
    if (c.timeline.remove(ids) > 0) c.version++
    c.unread = Math.max(0, c.unread - unseen)
  }

  #isRead(c: Conversation, m: Message): boolean {
    const all = c.timeline.messages
    const marker = this.#markers.get(c.id)
    const at = marker ? all.findIndex((x) => x.id === marker.id) : -1
    return at >= 0 && all.indexOf(m) <= at
  }

  /** Receipts that are under way: of one that is refused nobody is told, who asked for none. */
  readonly #silent = new Set<string>()

  /** #settle changes a message that is shown; false when it is none. */
  #settle(id: string, change: (m: Message) => void): boolean {
    let shown = false
    for (const c of this.conversations.values()) {
      const m = c.timeline.get(id)
      if (!m) continue
      change(m)
      c.modified = Math.max(c.modified, m.time)
      c.version++
      shown = true
    }
    return shown
  }

  // --- reading ---

  #attended(c: Conversation): boolean {
    return c.id === this.current.value && document.visibilityState === 'visible' && document.hasFocus()
  }

  /** #attend tells that what is on the screen has been read. */
  #attend(): void {
    const c = this.conversations.get(this.current.value)
    if (!c || c.loaded !== 'fresh' || !this.#attended(c)) return
    const unread = new Set(this.#unreadIn(c, [...c.timeline.messages].reverse()).map((m) => m.id))
    for (const id of c.unseen) if (c.timeline.get(id)) unread.add(id)
    c.unseen.clear()
    c.unread = 0
    for (const id of unread) c.told.add(id)
    const last = [...c.timeline.messages].reverse().find((m) => m.status !== 'pending' && m.status !== 'failed')
    this.#mark(c, last ?? null)
    if (unread.size > 0) this.client.read(c, [...unread], (id) => this.#silent.add(id)).catch(() => undefined) // of a group that was left meanwhile
  }

  #mark(c: Conversation, m: Message | null): void {
    const marker = this.#markers.get(c.id)
    if (!m || marker?.id === m.id) return
    this.#markers.set(c.id, { id: m.id, time: m.stored ?? marker?.time ?? 0 })
  }

  // --- sending ---

  /** say sends a text. It answers why not, or an empty string. */
  text(c: Conversation, text: string): string {
    if ([...text].length > maxText) return t('tooLong', { n: maxText })
    this.#sent(this.client.text(c, text).message)
    return ''
  }

  /** upload sends files, one after the other; each is shown with its progress until it is a message. */
  async upload(c: Conversation, files: File[]): Promise<void> {
    for (const file of files) {
      const max = this.config.files.max_size
      if (file.size > max) {
        this.say(`${oneLine(file.name, 60)}：${t('tooLarge', { n: size(max) })}`, 'error')
        continue
      }
      await this.#upload(c, shallowReactive({ id: ++this.#toast, file, kind: kindOf(file), sent: 0, error: '', stop: new AbortController() }))
    }
  }

  async #upload(c: Conversation, u: Upload): Promise<void> {
    c.uploads.push(u)
    try {
      const picture = u.kind === 'picture' ? await dimensions(u.file) : {}
      const fileId = await this.client.upload(u.file, u.file.name, { signal: u.stop.signal, onProgress: (sent) => (u.sent = sent) })
      this.#drop(c, u)
      this.#sent(this.client.file(c, u.kind, { fileId, fileName: u.file.name, fileSize: u.file.size, ...picture }).message)
    } catch (e) {
      if (e instanceof TlimError && e.code === 'aborted') return this.#drop(c, u)
      u.error = explain(e, language.value)
    }
  }

  cancelUpload(c: Conversation, u: Upload): void {
    u.stop.abort()
    this.#drop(c, u)
  }

  retryUpload(c: Conversation, u: Upload): void {
    this.#drop(c, u)
    void this.#upload(c, shallowReactive({ ...u, sent: 0, error: '', stop: new AbortController() }))
  }

  #drop(c: Conversation, u: Upload): void {
    const i = c.uploads.findIndex((x) => x.id === u.id)
    if (i >= 0) c.uploads.splice(i, 1)
  }

  // --- groups ---

  /** does runs what a button asks for, and says why it failed. */
  async does<T>(work: Promise<T>): Promise<T | undefined> {
    try {
      return await work
    } catch (e) {
      this.fail(e)
      return undefined
    }
  }

  async createGroup(people: Person[], name: string): Promise<void> {
    const made = await this.does(this.client.createGroup(people.map((p) => ({ user_id: p.id, user_name: p.name })), name))
    if (!made) return
    const c = this.conversation(made.id, true, { name: made.name, modified: Date.now(), owner: this.me })
    this.#tellSkipped(made.skipped)
    await this.open(c)
  }

  async invite(c: Conversation, people: Person[]): Promise<void> {
    const skipped = await this.does(this.client.invite(c.id, people.map((p) => ({ user_id: p.id, user_name: p.name }))))
    if (skipped) this.#tellSkipped(skipped)
    void this.reload(c)
    await this.loadMembers(c)
  }

  #tellSkipped(skipped: Skipped[]): void {
    if (skipped.length > 0) this.say(t('skipped', { names: skipped.map((s) => this.nameOf(s.user)).join(language.value === 'zh' ? '、' : ', ') }), 'error')
  }

  /** forget takes a group that the user is not in any more out of the list. */
  forget(c: Conversation): void {
    if (this.current.value === c.id) this.leave()
    this.#left.set(c.id, this.#lists)
    this.conversations.delete(c.id)
  }

  async leaveGroup(c: Conversation): Promise<void> {
    if (await this.does(this.client.leave(c.id, this.nameOf(this.me)).then(() => true))) this.forget(c)
  }

  async dissolve(c: Conversation): Promise<void> {
    if (await this.does(this.client.dissolve(c.id).then(() => true))) this.forget(c)
  }

  // --- clearing a history: one asks (MTT-200), the other one answers (MTT-201) ---

  askToClear(c: Conversation): void {
    this.#sent(this.client.send('MTT-200', c.id, [{ info: '' }]).message)
  }

  async answerClear(c: Conversation, agreed: boolean): Promise<void> {
    if (agreed && !(await this.does(this.client.clearHistory(c.id)))) return
    if (agreed) this.#cleared(c)
    this.#sent(this.client.send('MTT-201', c.id, [{ status: agreed ? '0' : '1' }]).message)
  }

  #cleared(c: Conversation): void {
    c.timeline.clear()
    c.last = null
    c.version++
  }

  /** seek loads older pages until a message is here, and tells by seeking how far it is; false when it is nowhere, undefined when it was stopped. */
  async seek(c: Conversation, id: string): Promise<boolean | undefined> {
    this.#stopSeeking = false
    try {
      for (;;) {
        if (c.timeline.get(id)) return true
        if (this.#stopSeeking) return undefined
        if (c.timeline.complete) return false
        const before = c.timeline.oldest
        this.seeking.value = { read: c.timeline.messages.length, from: c.timeline.messages[0]?.time ?? 0 }
        await this.#idle(c)
        await this.older(c, seekLength)
        if (c.timeline.oldest === before && !c.timeline.complete) return false
      }
    } finally {
      this.seeking.value = null
    }
  }

  stopSeeking(): void {
    this.#stopSeeking = true
  }

  /** #idle waits for a page that is being read already. */
  async #idle(c: Conversation): Promise<void> {
    if (!c.loadingOlder) return
    await new Promise<void>((ok) => {
      const stop = watch(() => c.loadingOlder, (busy) => {
        if (busy) return
        stop()
        ok()
      })
    })
  }

  revoke(c: Conversation, m: Message): void {
    const { message, stored } = this.client.revoke(c, [m.id])
    stored.then(() => {
      this.#revoked(c.id, [m.id])
      this.#sent({ ...message, status: 'sent' })
    }, () => undefined)
  }

  /** again sends a message that was refused once more, as a new one. */
  again(c: Conversation, m: Message): void {
    c.timeline.remove([m.id])
    this.#sent(this.client.send(m.type as 'MTT-000', c.id, m.body as never).message)
  }

  #sent(m: Message): void {
    this.#show(m)
  }
}

function clientOf(config: Config, user: string): TlimClient {
  const address = `${base}/${config.xmpp.path}`
  return new TlimClient({
    domain: config.domain, component: config.component, base, store: outboxIn(localStorage, `tlim.out.${config.domain}.${user}.`),
    stream: new StropheStream(config.xmpp.transport === 'websocket' ? { websocket: address.replace(/^http/, 'ws') } : { bosh: address }),
  })
}

const chatKey: InjectionKey<Chat> = Symbol('chat')
export { chatKey }

export function useChat(): Chat {
  const chat = inject(chatKey)
  if (!chat) throw new Error('no chat above this component')
  return chat
}

const kindOf = (file: File): FileKind => (/^image\/(png|jpeg|gif|webp|bmp|avif)$/.test(file.type) ? 'picture' : file.type.startsWith('audio/') ? 'voice' : 'file')

/** dimensions lets a receiver keep the room of a picture before it has loaded. */
async function dimensions(file: File): Promise<{ width?: number; height?: number }> {
  try {
    const picture = await createImageBitmap(file)
    const { width, height } = picture
    picture.close()
    return { width, height }
  } catch {
    return {} // no picture that this browser knows; it is sent all the same
  }
}
