// What the page has to know before anybody logs in: GET web/config.json.
export interface Config {
  domain: string
  component: string
  language: 'zh' | 'en'
  version: string
  max_body: number
  max_members: number
  /** Milliseconds; 0: messages can be revoked for ever. */
  revoke_window: number
  files: { max_size: number; strict: boolean }
  xmpp: { transport: 'websocket' | 'bosh'; path: string }
}

/** base is where tlim is: the folder of this page, without a slash at its end. */
export const base = new URL('.', location.href).href.replace(/\/$/, '')

export async function loadConfig(): Promise<Config> {
  const response = await fetch(`${base}/web/config.json`, { cache: 'no-store', credentials: 'omit', signal: AbortSignal.timeout(15_000) })
  if (!response.ok) throw new Error(`HTTP ${response.status}`)
  return (await response.json()) as Config
}
