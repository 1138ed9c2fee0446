// Numbers and times as people read them.
import { language } from 'shared/i18n.ts'
import { t } from './i18n.ts'
import { state } from './state.ts'

const tag = () => (language.value === 'zh' ? 'zh-CN' : 'en')
const formats = new Map<string, Intl.NumberFormat | Intl.RelativeTimeFormat | Intl.DateTimeFormat>()

function kept<F extends Intl.NumberFormat | Intl.RelativeTimeFormat | Intl.DateTimeFormat>(name: string, make: (tag: string) => F): F {
  const key = tag() + name
  let f = formats.get(key) as F | undefined
  if (!f) formats.set(key, (f = make(tag())))
  return f
}

export const count = (n: number) => kept('count', (l) => new Intl.NumberFormat(l)).format(n)
export const rate = (n: number) => kept('rate', (l) => new Intl.NumberFormat(l, { maximumFractionDigits: n < 10 ? 1 : 0 })).format(n)

export const clock = (at: number) => kept('clock', (l) => new Intl.DateTimeFormat(l, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false })).format(at)

/** when is a time of today as a clock, of another day with the day. */
export function when(at: number | string | undefined): string {
  const ms = Number(at)
  if (!Number.isFinite(ms) || ms <= 0) return ''
  const sameDay = new Date(ms).toDateString() === new Date().toDateString()
  return sameDay ? clock(ms) : kept('when', (l) => new Intl.DateTimeFormat(l, { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false })).format(ms)
}

/** now is the time of tlim's host, which is what its answers compare with. */
export const now = () => (state.value ? Math.max(state.value.now, Math.min(Date.now(), state.value.now + 10_000)) : Date.now())

const steps: [Intl.RelativeTimeFormatUnit, number][] = [['day', 86_400_000], ['hour', 3_600_000], ['minute', 60_000], ['second', 1000]]

/** ago is how long a time is over. */
export function ago(at: number | undefined): string {
  if (!at) return ''
  const since = Math.max(0, now() - at)
  for (const [unit, length] of steps) {
    if (since >= length) return kept('ago', (l) => new Intl.RelativeTimeFormat(l, { numeric: 'always' })).format(-Math.floor(since / length), unit)
  }
  return t('just')
}

/** local is a time as a field of type datetime-local has it. */
export function local(at: number): string {
  const d = new Date(at - new Date(at).getTimezoneOffset() * 60_000)
  return d.toISOString().slice(0, 16)
}

/** both is a time, and how long it is over. */
export const both = (at: number): string => (language.value === 'zh' ? `${when(at)}（${ago(at)}）` : `${when(at)} (${ago(at)})`)
