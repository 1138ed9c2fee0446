// What a view asks tlim for: once, again when what it asks about changes, and again by itself when tlim is back.
import { computed, onBeforeUnmount, ref, shallowRef, watch, type WatchSource } from 'vue'
import { ask, isAway, session, type Params } from './api.ts'

export function useLoad<T>(load: () => Promise<T> | null, on: WatchSource[] = []) {
  const data = shallowRef<T | null>(null)
  const error = shallowRef<unknown>(null)
  const loading = ref(false)
  let latest = 0

  async function reload(): Promise<void> {
    const mine = ++latest
    const asked = load()
    if (!asked) {
      data.value = null
      error.value = null
      loading.value = false
      return
    }
    loading.value = true
    try {
      const answer = await asked
      if (mine !== latest) return
      data.value = answer
      error.value = null
    } catch (e) {
      if (mine !== latest) return
      error.value = e
    } finally {
      if (mine === latest) loading.value = false
    }
  }
  watch(on, () => {
    data.value = null
    void reload()
  })
  watch(() => session.back, () => {
    if (isAway(error.value)) void reload()
  })
  onBeforeUnmount(() => latest++)
  void reload()
  return { data, error, loading, reload }
}

/** usePages is useLoad of a list that comes in pages; the rows stand in field name of an answer. */
export function usePages<T>(endpoint: string, name: string, params: () => Params | null, on: WatchSource[] = []) {
  const rows = shallowRef<T[]>([])
  const next = ref('')
  const error = shallowRef<unknown>(null)
  const loading = ref(false)
  const whole = shallowRef<Record<string, unknown> | null>(null)
  let latest = 0

  async function page(after: string): Promise<void> {
    const mine = ++latest
    const asked = params()
    if (!asked) return
    loading.value = true
    try {
      const answer = await ask<Record<string, unknown>>(endpoint, { limit: 100, ...asked, after })
      if (mine !== latest) return
      const found = (answer[name] ?? []) as T[]
      rows.value = after ? [...rows.value, ...found] : found
      next.value = (answer['next'] as string | undefined) ?? ''
      whole.value = answer
      error.value = null
    } catch (e) {
      if (mine === latest) error.value = e
    } finally {
      if (mine === latest) loading.value = false
    }
  }
  const reload = () => page('')
  const more = () => {
    if (next.value && !loading.value) void page(next.value)
  }
  watch(on, () => void reload())
  watch(() => session.back, () => {
    if (isAway(error.value)) void reload()
  })
  onBeforeUnmount(() => latest++)
  void reload()
  return { rows, next, error, loading, whole, reload, more, empty: computed(() => !loading.value && !error.value && rows.value.length === 0) }
}
