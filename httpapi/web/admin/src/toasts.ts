// Short answers to what was done.
import { reactive, type Ref } from 'vue'
import { explain } from './i18n.ts'

export interface Toast { id: number; text: string; kind: 'info' | 'error' }
export const toasts = reactive<Toast[]>([])
let last = 0

export function tell(text: string, kind: Toast['kind'] = 'info'): void {
  const id = ++last
  toasts.push({ id, text, kind })
  if (toasts.length > 4) toasts.shift()
  setTimeout(() => dismiss(id), kind === 'error' ? 12_000 : 6_000)
}

export const fail = (e: unknown): void => tell(explain(e), 'error')

/** during does what a button is for: busy says that it is under way, and a toast that it failed. */
export async function during(busy: Ref<boolean>, work: () => Promise<void>): Promise<void> {
  busy.value = true
  try {
    await work()
  } catch (e) {
    fail(e)
  } finally {
    busy.value = false
  }
}

export function dismiss(id: number): void {
  const i = toasts.findIndex((x) => x.id === id)
  if (i >= 0) toasts.splice(i, 1)
}
