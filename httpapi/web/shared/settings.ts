// What a user chose in this browser: language and appearance.
import { reactive, watch } from 'vue'
import { type Language, setLanguage } from './i18n.ts'

export type Theme = 'auto' | 'light' | 'dark'

export const settings = reactive<{ language: Language | ''; theme: Theme; user: string }>({ language: '', theme: 'auto', user: '' })

const key = 'tlim.settings'

export function loadSettings(): void {
  try {
    const kept = JSON.parse(localStorage.getItem(key) ?? '{}') as Partial<typeof settings>
    if (kept.language === 'zh' || kept.language === 'en') settings.language = kept.language
    if (kept.theme === 'light' || kept.theme === 'dark') settings.theme = kept.theme
    if (typeof kept.user === 'string') settings.user = kept.user
  } catch { /* the defaults, then */ }
  watch(settings, apply, { immediate: true })
}

function apply(): void {
  if (settings.language) setLanguage(settings.language)
  if (settings.theme === 'auto') document.documentElement.removeAttribute('data-theme')
  else document.documentElement.dataset['theme'] = settings.theme
  try {
    localStorage.setItem(key, JSON.stringify(settings))
  } catch { /* a closed store: the choice lasts as long as the page */ }
}
