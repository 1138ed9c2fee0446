// Files that messages name. Their bytes are fetched with the user's token, which files.access: strict wants.
import { onBeforeUnmount, ref, watch } from 'vue'
import { TlimError, explain } from 'tlim-client'
import { type Chat } from './chat.ts'
import { language } from './i18n.ts'

const path = (id: string) => `/upload/mobileFileDownload?fileId=${encodeURIComponent(id)}`

/** useFile fetches a file while it is wanted, and gives an address for <img> or <audio>. */
export function useFile(chat: Chat, wanted: () => { id: string; thumbnail?: boolean } | null) {
  const url = ref('')
  const error = ref('')
  const code = ref('')
  const loading = ref(false)
  let stop: AbortController | null = null

  function drop() {
    stop?.abort()
    if (url.value) URL.revokeObjectURL(url.value)
    url.value = error.value = ''
  }

  watch(wanted, async (file) => {
    drop()
    if (!file?.id) return
    const mine = (stop = new AbortController())
    loading.value = true
    try {
      const blob = await chat.client.http.file(file.thumbnail ? `/uploader/loadImg?pic=${encodeURIComponent(file.id)}&size=480` : path(file.id), { signal: mine.signal })
      if (!mine.signal.aborted) url.value = URL.createObjectURL(blob)
    } catch (e) {
      if (mine.signal.aborted) return
      error.value = explain(e, language.value)
      code.value = e instanceof TlimError ? e.code : ''
    } finally {
      if (stop === mine) loading.value = false
    }
  }, { immediate: true })
  onBeforeUnmount(drop)
  return { url, error, code, loading }
}

/** save hands a file to the browser's downloads, under its name. */
export async function save(chat: Chat, id: string, name: string, onProgress?: (got: number, total: number) => void): Promise<void> {
  const blob = await chat.client.http.file(path(id), onProgress ? { onProgress } : {})
  const a = document.createElement('a')
  a.href = URL.createObjectURL(blob)
  a.download = name || id
  a.click()
  setTimeout(() => URL.revokeObjectURL(a.href), 60_000)
}
