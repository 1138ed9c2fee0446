import { language, t } from './i18n.ts'

const formats = new Map<string, Intl.DateTimeFormat>()

function format(time: number, name: string, options: Intl.DateTimeFormatOptions): string {
  const key = language.value + name
  let f = formats.get(key)
  if (!f) formats.set(key, (f = new Intl.DateTimeFormat(language.value === 'zh' ? 'zh-CN' : 'en', options)))
  return f.format(time)
}

const clock = (time: number) => format(time, 'clock', { hour: '2-digit', minute: '2-digit', hour12: false })

const midnight = (time: number) => new Date(time).setHours(0, 0, 0, 0)
export const sameDay = (a: number, b: number) => midnight(a) === midnight(b)

function daysAgo(time: number): number {
  return Math.round((midnight(Date.now()) - midnight(time)) / 86_400_000)
}

/** inList is short: the clock today, then the day. */
export function inList(time: number): string {
  if (!time) return ''
  const days = daysAgo(time)
  if (days <= 0) return clock(time)
  if (days === 1) return t('yesterday')
  if (days < 7) return format(time, 'week', { weekday: 'short' })
  return format(time, 'day', new Date(time).getFullYear() === new Date().getFullYear() ? { month: 'numeric', day: 'numeric' } : { year: '2-digit', month: 'numeric', day: 'numeric' })
}

export function day(time: number): string {
  const days = daysAgo(time)
  if (days === 0) return t('today')
  if (days === 1) return t('yesterday')
  return format(time, 'long', { year: 'numeric', month: 'long', day: 'numeric', weekday: 'short' })
}

export const hour = clock
export const full = (time: number) => format(time, 'full', { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false })
