// A list that is searched while somebody types.
import { ref, watch, type Ref } from 'vue'
import { usePages } from './load.ts'

const pause = 250

export function useSearch<T>(endpoint: string, name: string, text: Ref<string>) {
  const asked = ref('')
  let timer = 0
  watch(text, () => {
    clearTimeout(timer)
    timer = window.setTimeout(() => (asked.value = text.value.trim()), pause)
  })
  return usePages<T>(endpoint, name, () => ({ text: asked.value }), [asked])
}
