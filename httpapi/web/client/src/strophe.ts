// The stream by strophe.js: WebSocket (RFC 7395) where there is one, else BOSH (XEP-0124).
import { Strophe, $iq, $msg, $pres } from 'strophe.js'
import { TlimError } from './errors.ts'
import type { Account, Ending, OutgoingMessage, StanzaError, Stream, StreamEvents, Token } from './stream.ts'

export interface Endpoints {
  /** ws:// or wss://, or a path of the page's own origin. */
  websocket?: string | undefined
  /** http:// or https://, or a path of the page's own origin. */
  bosh?: string | undefined
}

const ns = {
  tlim: 'im.itonglian.com', token: 'urn:tlim:token', ping: 'urn:xmpp:ping', receipts: 'urn:xmpp:receipts', carbons: 'urn:xmpp:carbons:2',
  stanzas: 'urn:ietf:params:xml:ns:xmpp-stanzas', codes: 'urn:tlim:errors',
}

/** How long a login may take before the way counts as broken. */
const openTimeout = 20_000

type Connection = InstanceType<typeof Strophe.Connection>

export class StropheStream implements Stream {
  readonly #ways: string[]
  #way = 0
  #connection: Connection | null = null

  constructor(endpoints: Endpoints) {
    this.#ways = [endpoints.websocket && absolute(endpoints.websocket, 'ws'), endpoints.bosh && absolute(endpoints.bosh, 'http')].filter((u): u is string => !!u)
    if (this.#ways.length === 0) throw new TlimError('fail', 'neither a WebSocket nor a BOSH address is given')
  }

  open(account: Account, events: StreamEvents): void {
    const c = new Strophe.Connection(this.#ways[this.#way]!, {
      // SCRAM needs the Web Crypto API, which browsers have on https and localhost only.
      mechanisms: globalThis.crypto?.subtle
        ? [Strophe.SASLSHA512, Strophe.SASLSHA256, Strophe.SASLSHA1, Strophe.SASLPlain] : [Strophe.SASLPlain],
    })
    this.#connection = c
    let opened = false
    const end = (why: Ending, detail: string) => {
      clearTimeout(timer)
      if (this.#connection !== c) return // closed by us, or told already
      this.#connection = null
      // A way that never opened may be closed by a proxy in between: the next try takes the other one.
      if (!opened && why === 'broken') this.#way = (this.#way + 1) % this.#ways.length
      events.ended(why, detail)
    }
    const timer = setTimeout(() => {
      end('broken', 'timeout')
      c.disconnect('timeout')
    }, openTimeout)
    // BOSH: strophe repeats a request that failed, and says nothing meanwhile. What the server had written into the first one may be gone (Openfire
    // 4.2 takes it for delivered), so a stream that goes on is in doubt. One that fails again is a link that broke; the next stream loses nothing.
    let failed = 0
    for (const status of [0, 502, 503, 504]) {
      c.addProtocolErrorHandler('HTTP', status, () => {
        const now = Date.now()
        if (now - failed < 30_000) {
          end('broken', `HTTP ${status}`)
          c.disconnect('broken')
        } else if (opened && this.#connection === c) events.doubted()
        failed = now
      })
    }
    const jid = `${Strophe.escapeNode(account.user)}@${account.domain}/${account.resource}`
    c.connect(jid, account.password, (status: number, condition?: string | null) => {
      if (this.#connection !== c) return
      switch (status) {
        case Strophe.Status.CONNECTED:
          opened = true
          clearTimeout(timer)
          this.#listen(c, events)
          events.opened(c.jid)
          break
        case Strophe.Status.AUTHFAIL:
          end('refused', condition ?? '')
          break
        case Strophe.Status.ERROR:
        case Strophe.Status.CONNFAIL:
        case Strophe.Status.CONNTIMEOUT:
        case Strophe.Status.DISCONNECTED:
          end('broken', condition ?? '')
          break
      }
    })
  }

  close(): void {
    const c = this.#connection
    this.#connection = null
    if (!c) return
    c.flush()
    c.disconnect('logout')
  }

  #listen(c: Connection, events: StreamEvents): void {
    c.addHandler((m: Element) => {
      events.message(read(m))
      return true
    }, null, 'message', null)
    c.addHandler((p: Element) => {
      const [bare = '', resource = ''] = split(p.getAttribute('from') ?? '')
      const type = p.getAttribute('type')
      if (type && type !== 'unavailable') return true
      if (Strophe.getDomainFromJid(bare)?.toLowerCase() !== Strophe.getDomainFromJid(c.jid)?.toLowerCase()) return true // another domain's user of that name
      events.presence(String(Strophe.unescapeNode(Strophe.getNodeFromJid(bare) ?? '')), resource, type === 'unavailable' ? 'offline' : child(p, 'show') ?? 'available')
      return true
    }, null, 'presence', null)
    // Strophe answers no pings by itself. The answer proves to tlim and to the server that this page is there.
    c.addHandler((iq: Element) => {
      c.send($iq({ type: 'result', id: iq.getAttribute('id') ?? '', to: iq.getAttribute('from') ?? '' }))
      return true
    }, ns.ping, 'iq', 'get')
  }

  send(m: OutgoingMessage): void {
    this.#connection?.send($msg({ to: m.to, type: 'chat', id: m.id }).c('tlim', { xmlns: ns.tlim, location: 'web', ack: '1' }).up()
      // Else a server with carbons would give each message to the user's other devices a second time.
      .c('private', { xmlns: ns.carbons }).up().c('body').t(m.body))
  }

  confirm(to: string, id: string): void {
    this.#connection?.send($msg({ to, type: 'chat' }).c('received', { xmlns: ns.receipts, id }))
  }

  available(component: string): void {
    this.#connection?.send($pres())
    this.#connection?.send($pres({ to: component }))
  }

  async token(component: string, timeout: number): Promise<Token> {
    const answer = await this.#ask($iq({ type: 'get', to: component }).c('token', { xmlns: ns.token }), timeout)
    const token = answer.getElementsByTagName('token')[0]
    return { token: token?.textContent ?? '', expires: Number(token?.getAttribute('expires')) }
  }

  async ping(to: string, timeout: number): Promise<void> {
    await this.#ask($iq({ type: 'get', to }).c('ping', { xmlns: ns.ping }), timeout)
  }

  #ask(iq: ReturnType<typeof $iq>, timeout: number): Promise<Element> {
    return new Promise((ok, no) => {
      if (!this.#connection) return no(new TlimError('offline'))
      this.#connection.sendIQ(iq, ok, (e: Element | null) => {
        if (!e) return no(new TlimError('timeout'))
        const error = readError(e)
        no(new TlimError(error?.code || (error?.type === 'auth' ? 'error-011' : 'unavailable'), error?.text))
      }, timeout)
    })
  }
}

function read(m: Element): import('./stream.ts').IncomingMessage {
  return {
    id: m.getAttribute('id') ?? '', from: m.getAttribute('from') ?? '', type: m.getAttribute('type') ?? 'normal',
    body: child(m, 'body'), subject: child(m, 'subject') ?? '',
    requested: children(m).some((e) => e.localName === 'request' && e.namespaceURI === ns.receipts),
    error: m.getAttribute('type') === 'error' ? readError(m) ?? { condition: '', type: '', text: '', code: '' } : null,
  }
}

function readError(stanza: Element): StanzaError | null {
  const error = children(stanza).find((e) => e.localName === 'error')
  if (!error) return null
  const condition = children(error).find((e) => e.namespaceURI === ns.stanzas && e.localName !== 'text')
  return {
    condition: condition?.localName ?? '', type: error.getAttribute('type') ?? '', text: child(error, 'text') ?? '',
    code: children(error).find((e) => e.localName === 'code' && e.namespaceURI === ns.codes)?.textContent ?? '',
  }
}

const children = (e: Element) => Array.from(e.childNodes).filter((n): n is Element => n.nodeType === 1)
const child = (e: Element, name: string) => children(e).find((c) => c.localName === name)?.textContent ?? null

function split(jid: string): [string, string] {
  const slash = jid.indexOf('/')
  return slash < 0 ? [jid, ''] : [jid.slice(0, slash), jid.slice(slash + 1)]
}

function absolute(url: string, scheme: 'ws' | 'http'): string {
  if (/^(wss?|https?):/.test(url)) return url
  return new URL(url, location.href).href.replace(/^http/, scheme)
}
