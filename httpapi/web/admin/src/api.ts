// The endpoints as the console calls them, and who calls: the key is kept in this tab alone, and ends with it.
import { reactive } from 'vue'
import { TlimError } from '../../client/src/errors.ts'

/** Where tlim is: the console lies in a folder of it. */
export const base = new URL('..', location.href).href.replace(/\/$/, '')

const kept = 'tlim.admin.key'
const patience = 30_000

export type Params = Record<string, string | number | boolean | undefined>

export const session = reactive({
  key: read(),
  /** Why the login is shown again. */
  ended: '' as '' | 'refused' | 'forbidden',
  /** tlim does not answer. */
  away: false,
  /** Counts how often tlim came back. What failed meanwhile is asked again. */
  back: 0,
})

function read(): string {
  try {
    return sessionStorage.getItem(kept) ?? ''
  } catch {
    return ''
  }
}

export function begin(key: string): void {
  session.key = key
  session.ended = ''
  session.away = false
  try {
    sessionStorage.setItem(kept, key)
  } catch { /* a closed store: the key lasts as long as the page */ }
}

export function end(why: typeof session.ended = ''): void {
  session.key = ''
  session.ended = why
  session.away = false
  try {
    sessionStorage.removeItem(kept)
  } catch { /* it was not kept */ }
}

/** ask calls an endpoint with the console's key. Parameters travel in the body, so that no log of a proxy has them. */
export async function ask<T>(endpoint: string, params: Params = {}, method: 'GET' | 'POST' = 'POST'): Promise<T> {
  const key = session.key
  try {
    const answer = await request<T>(key, endpoint, params, method)
    if (session.away) {
      session.away = false
      session.back++
    }
    return answer
  } catch (e) {
    // An answer to a key that was replaced meanwhile says nothing of the new one.
    if (e instanceof TlimError && session.key === key) {
      if (e.code === 'refused' || e.code === 'forbidden') end(e.code)
      if (isAway(e)) session.away = true
    }
    throw e
  }
}

/** isAway says whether nobody answered, so that the same question may be answered later. */
export const isAway = (e: unknown): boolean => e instanceof TlimError && ['network', 'timeout', 'unavailable'].includes(e.code)

export async function request<T>(key: string, endpoint: string, params: Params, method: 'GET' | 'POST'): Promise<T> {
  const form = new URLSearchParams()
  for (const [name, value] of Object.entries(params)) if (value !== undefined && value !== '') form.set(name, String(value))
  const query = method === 'GET' && form.size > 0 ? `?${form}` : ''
  const ended = AbortSignal.timeout(patience)
  let status: number
  let text: string
  try {
    const response = await fetch(`${base}/plugins/tlim/${endpoint}${query}`, {
      method, headers: { Authorization: `Bearer ${key}` }, credentials: 'omit', cache: 'no-store', redirect: 'error', signal: ended, ...(method === 'POST' ? { body: form } : {}),
    })
    status = response.status
    text = await response.text()
  } catch {
    throw new TlimError(ended.aborted ? 'timeout' : 'network')
  }
  let answer: { result?: unknown; result_detail?: unknown } | null = null
  try {
    answer = JSON.parse(text)
  } catch { /* not tlim's answer: a proxy's, in front of it */ }
  if (answer === null || typeof answer !== 'object') throw new TlimError(status >= 500 || status === 200 ? 'unavailable' : 'fail', `HTTP ${status}`)
  const detail = typeof answer.result_detail === 'string' ? answer.result_detail : ''
  if (status === 401) throw new TlimError('refused', detail)
  if (status === 403) throw new TlimError('forbidden', detail)
  if (answer.result !== 'ok') throw new TlimError(typeof answer.result === 'string' && answer.result !== '' ? answer.result : 'fail', detail || `HTTP ${status}`)
  return answer as T
}
