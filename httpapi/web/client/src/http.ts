// The HTTP API as a user token's holder calls it: httpapi/HTTP.md. Tokens come over XMPP and are renewed by themselves.
import { isItem, string, type Item } from './envelope.ts'
import { TlimError } from './errors.ts'
import type { Token } from './stream.ts'

export interface HttpOptions {
  /** Where tlim is: "" for the page's own origin, else http://host:port. */
  base: string
  /** Asks for a new token over XMPP. */
  newToken(): Promise<Token>
  fetch?: typeof fetch
  now?: () => number
  wait?: (ms: number) => Promise<void>
  /** Milliseconds in which something of a download has to come. */
  stall?: number
}

export type Params = Record<string, string | number | undefined>

export interface Upload {
  onProgress?: (sent: number, total: number) => void
  signal?: AbortSignal
}

/** A token that ends so soon is renewed before it is used. */
const margin = 60_000
/** A download without a byte for so long is given up; how long it takes in all is the line's affair. */
const stall = 30_000
const callTimeout = 30_000
/** How often a call is repeated that was told to come later (429, 503). */
const repeats = 3

export class Http {
  #token: Token | null = null
  /** The token was over when it came: this device's clock is ahead, and the server says when it is. */
  #ahead = false
  #asking: Promise<Token> | null = null
  readonly #o: Required<HttpOptions>

  constructor(o: HttpOptions) {
    this.#o = {
      fetch: (...a) => fetch(...a), now: () => Date.now(),
      wait: (ms) => new Promise((ok) => setTimeout(ok, ms)), stall, ...o,
    }
  }

  /** token returns one that is valid for a while. Callers that come together share one question. */
  async token(): Promise<string> {
    if (this.#token && (this.#ahead || this.#token.expires - margin > this.#o.now())) return this.#token.token
    this.#asking ??= this.#o.newToken().finally(() => (this.#asking = null))
    this.#token = await this.#asking
    this.#ahead = !(this.#token.expires - margin > this.#o.now())
    return this.#token.token
  }

  /** forget drops the token: of a login that has ended. */
  forget(): void {
    this.#token = null
  }

  /** call calls an endpoint and returns its answer. What is not "ok" is a TlimError. */
  async call(endpoint: string, params: Params = {}): Promise<Item> {
    const answer = await this.ask(endpoint, params)
    if (!isItem(answer)) throw new TlimError('fail', `${endpoint} answers no object`)
    if (answer['result'] !== 'ok') throw new TlimError(string(answer['result']) || 'fail', string(answer['result_detail']))
    return answer
  }

  /** ask is call for endpoints that answer without a result (findPresence). */
  async ask(endpoint: string, params: Params = {}): Promise<unknown> {
    const form = new URLSearchParams()
    for (const [name, value] of Object.entries(params)) if (value !== undefined) form.set(name, String(value))
    const response = await this.#request(`/plugins/tlim/${endpoint}`, { method: 'POST', body: form })
    try {
      return await response.json()
    } catch {
      throw new TlimError('network')
    }
  }

  /** file fetches the bytes of an uploaded file, with the credential that files.access: strict wants. */
  async file(path: string, { onProgress, signal }: Upload = {}): Promise<Blob> {
    const stop = new AbortController()
    const given = () => stop.abort(new TlimError('aborted'))
    if (signal?.aborted) throw new TlimError('aborted')
    signal?.addEventListener('abort', given)
    let timer: ReturnType<typeof setTimeout> | undefined
    const moved = () => {
      clearTimeout(timer)
      timer = setTimeout(() => stop.abort(new TlimError('timeout')), this.#o.stall)
    }
    try {
      moved()
      const response = await this.#request(path, { signal: stop.signal })
      const total = Number(response.headers.get('Content-Length')) || 0
      const reader = response.body?.getReader()
      const parts: Uint8Array<ArrayBuffer>[] = []
      let got = 0
      for (;;) {
        moved()
        const piece = await reader?.read()
        if (!piece || piece.done) break
        parts.push(piece.value)
        got += piece.value.byteLength
        onProgress?.(got, Math.max(total, got))
      }
      return new Blob(parts, { type: response.headers.get('Content-Type') ?? '' })
    } catch (e) {
      if (stop.signal.aborted) throw stop.signal.reason
      throw e instanceof TlimError ? e : new TlimError('network')
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', given)
    }
  }

  async #request(path: string, init: RequestInit): Promise<Response> {
    let renewed = false
    for (let tries = 0; ; tries++) {
      const token = await this.token()
      const ended = AbortSignal.timeout(callTimeout)
      let response: Response
      try {
        response = await this.#o.fetch(this.#o.base + path, {
          ...init, headers: { Authorization: `Bearer ${token}` }, credentials: 'omit', cache: init.method ? 'no-store' : 'default',
          signal: init.signal ?? ended,
        })
      } catch {
        if (init.signal?.aborted) throw new TlimError('aborted')
        throw new TlimError(ended.aborted ? 'timeout' : 'network')
      }
      if (response.ok) return response
      if (response.status === 401 && !renewed) { // revoked, or the server's clock is ahead of ours
        renewed = true
        if (this.#token?.token === token) this.#token = null
        continue
      }
      if ((response.status === 429 || response.status === 503) && tries < repeats) {
        await this.#o.wait(Math.min(Number(response.headers.get('Retry-After')) || 1, 10) * 1000)
        continue
      }
      throw await failure(response)
    }
  }

  /** upload stores a file and returns its id. */
  async upload(file: Blob, name: string, { onProgress, signal }: Upload = {}): Promise<string> {
    for (let renewed = false; ; renewed = true) {
      const token = await this.token()
      const { status, text } = await send(`${this.#o.base}/mobileHttpController/uploadForJsonFileId`, token, file, name, onProgress, signal)
      if (status === 401 && !renewed) {
        this.#token = null
        continue
      }
      const answer = parse(text)
      if (status !== 200 || !answer['fileId']) throw new TlimError(string(answer['result']) || (status === 413 || status === 507 ? 'error-012' : 'fail'), string(answer['result_detail']))
      return string(answer['fileId'])
    }
  }
}

// fetch cannot tell how much of a body is sent, so uploads use the older interface.
function send(url: string, token: string, file: Blob, name: string, onProgress?: Upload['onProgress'], signal?: AbortSignal) {
  return new Promise<{ status: number; text: string }>((ok, no) => {
    const form = new FormData()
    form.append('mFile', file, name)
    const x = new XMLHttpRequest()
    x.open('POST', url)
    x.setRequestHeader('Authorization', `Bearer ${token}`)
    if (onProgress) x.upload.onprogress = (e) => onProgress(e.loaded, e.total)
    x.onload = () => ok({ status: x.status, text: x.responseText })
    x.onerror = () => no(new TlimError('network'))
    x.onabort = () => no(new TlimError('aborted'))
    if (signal?.aborted) return no(new TlimError('aborted'))
    signal?.addEventListener('abort', () => x.abort())
    x.send(form)
  })
}

async function failure(response: Response): Promise<TlimError> {
  const answer = parse(await response.text().catch(() => ''))
  const code = string(answer['result'])
  if (code) return new TlimError(code, string(answer['result_detail']))
  // Not tlim's answer: a proxy's, in front of a tlim that is away.
  return new TlimError(response.status >= 502 ? 'unavailable' : 'fail', `HTTP ${response.status}`)
}

function parse(text: string): Item {
  try {
    const v: unknown = JSON.parse(text)
    return isItem(v) ? v : {}
  } catch {
    return {}
  }
}
