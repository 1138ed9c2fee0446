// Where in the console one is. It stands behind the # of the address, so that going back, a bookmark and a link to a colleague work; a server never sees it.
import { reactive } from 'vue'

export const views = ['overview', 'trace', 'users', 'groups', 'notices', 'pushes', 'callers', 'cleanup', 'doctor', 'config', 'keys', 'audit'] as const
export type View = (typeof views)[number]

export const route = reactive<{ view: View; id: string; query: Record<string, string> }>({ view: 'overview', id: '', query: {} })

export function href(view: View, id = '', query: Record<string, string | number | undefined> = {}): string {
  const q = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== '') q.set(name, String(value))
  return `#/${view}${id ? `/${encodeURIComponent(id)}` : ''}${q.size > 0 ? `?${q}` : ''}`
}

export function go(view: View, id = '', query: Record<string, string | number | undefined> = {}): void {
  location.hash = href(view, id, query)
}

function read(): void {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?', 2)
  const [view = '', id = ''] = path.split('/', 2)
  route.view = views.find((v) => v === view) ?? 'overview'
  try {
    route.id = decodeURIComponent(id)
  } catch {
    route.id = ''
  }
  route.query = Object.fromEntries(new URLSearchParams(query))
}

read()
window.addEventListener('hashchange', read)
