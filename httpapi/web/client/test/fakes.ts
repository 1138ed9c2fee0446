import type { Account, IncomingMessage, OutgoingMessage, Stream, StreamEvents, Token } from '../src/stream.ts'
import { type Options, TlimClient } from '../src/client.ts'
import { TlimError } from '../src/errors.ts'

/** Clock is time that a test moves by itself. */
export class Clock {
  now = 0
  #next = 0
  #timers = new Map<number, { at: number; f: () => void }>()

  set = (f: () => void, ms: number) => {
    this.#timers.set(++this.#next, { at: this.now + ms, f })
    return this.#next
  }

  clear = (handle: unknown) => void this.#timers.delete(handle as number)

  /** forward lets time pass, and runs what becomes due in its order. */
  forward(ms: number): void {
    const end = this.now + ms
    for (;;) {
      const due = [...this.#timers].filter(([, t]) => t.at <= end).sort((a, b) => a[1].at - b[1].at)[0]
      if (!due) break
      this.#timers.delete(due[0])
      this.now = due[1].at
      due[1].f()
    }
    this.now = end
  }
}

/** A server at the other end of the stream, played by the test. */
export class FakeStream implements Stream {
  sent: OutgoingMessage[] = []
  confirmed: string[] = []
  opens = 0
  closed = 0
  pings: ((e?: TlimError) => void)[] = []
  tokens = 0
  events: StreamEvents | null = null
  account: Account | null = null

  open(account: Account, events: StreamEvents): void {
    this.opens++
    this.account = account
    this.events = events
  }

  close(): void {
    this.closed++
    this.events = null
  }

  send(m: OutgoingMessage): void {
    this.sent.push(m)
  }

  confirm(to: string, id: string): void {
    this.confirmed.push(`${to} ${id}`)
  }

  available(): void {}

  token(): Promise<Token> {
    return Promise.resolve({ token: `token-${++this.tokens}`, expires: Date.now() + 3_600_000 })
  }

  ping(): Promise<void> {
    return new Promise((ok, no) => this.pings.push((e) => (e ? no(e) : ok())))
  }

  // what the test does

  up(): void {
    this.events!.opened(`${this.account!.user}@im.test/${this.account!.resource}`)
  }

  down(why: 'broken' | 'refused' = 'broken'): void {
    this.events!.ended(why, '')
  }

  comes(m: Partial<IncomingMessage>): void {
    this.events!.message({ id: '', from: 'tlim.im.test', type: 'chat', body: null, subject: '', requested: false, error: null, ...m })
  }

  /** A copy of an envelope, as tlim sends it. */
  copy(fields: Record<string, unknown>, more: Partial<IncomingMessage> = {}): void {
    const e = { msg_id: 'm1', msg_type: 'MTT-000', msg_from: 'lisi', msg_to: 'zhangsan', msg_time: '1000', body: [{ text: 'hello' }], ...fields }
    this.comes({ id: e.msg_id, from: `${e.msg_from}@tlim.im.test`, body: JSON.stringify(e), ...more })
  }

  acknowledge(id: string, time = 5000): void {
    this.comes({ body: JSON.stringify({ msg_id: 'a', msg_type: 'MTC-100', msg_from: 'admin', msg_to: 'zhangsan', msg_time: '1', body: JSON.stringify([{ msg_id: id, msg_time: String(time) }]) }) })
  }

  refuse(id: string, code: string, type = 'auth', condition = 'forbidden'): void {
    this.comes({ id, type: 'error', error: { code, type, condition, text: `${code}: why` } })
  }
}

export interface World { client: TlimClient; stream: FakeStream; clock: Clock; calls: { url: string; params: URLSearchParams; auth: string }[] }

/** loggedIn is a client whose stream is up; answers are those of the HTTP API, by endpoint. */
export async function loggedIn(answers: Record<string, unknown> = {}, options: Partial<Options> = {}): Promise<World> {
  const stream = new FakeStream()
  const clock = new Clock()
  const calls: World['calls'] = []
  const client = new TlimClient({
    domain: 'im.test', component: 'tlim.im.test', base: 'http://tlim', stream, timers: clock, random: () => 0.5,
    fetch: (url, init) => {
      const endpoint = String(url).split('/').pop()!
      calls.push({ url: endpoint, params: init!.body as URLSearchParams, auth: new Headers(init!.headers).get('Authorization') ?? '' })
      const answer = answers[endpoint]
      if (answer instanceof Response) return Promise.resolve(answer.clone())
      return Promise.resolve(Response.json(typeof answer === 'function' ? answer(calls.length) : answer ?? { result: 'ok' }))
    },
    ...options,
  })
  const done = client.login('ZhangSan', 'secret')
  stream.up()
  await done
  return { client, stream, clock, calls }
}
