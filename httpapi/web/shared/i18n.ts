// Words in Chinese and English. Each page has its own; these are those that all pages have.
import { ref } from 'vue'

export type Language = 'zh' | 'en'
export type Texts = Record<string, [zh: string, en: string]>

export const language = ref<Language>('zh')

export function setLanguage(l: Language): void {
  language.value = l
  document.documentElement.lang = l === 'zh' ? 'zh-CN' : 'en'
}

/** translator returns the function that says a text in the language that was chosen, with its {names} filled in. */
export function translator<T extends Texts>(texts: T) {
  return (key: keyof T, values: Record<string, string | number> = {}): string =>
    texts[key]![language.value === 'zh' ? 0 : 1].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''))
}

export const common = {
  login: ['登录', 'Sign in'],
  loggingIn: ['正在登录…', 'Signing in…'],
  logout: ['退出登录', 'Sign out'],
  theme: ['外观', 'Appearance'],
  themeAuto: ['跟随系统', 'As the system'],
  themeLight: ['浅色', 'Light'],
  themeDark: ['深色', 'Dark'],
  language: ['语言', 'Language'],
  menu: ['菜单', 'Menu'],
  back: ['返回', 'Back'],
  close: ['关闭', 'Close'],
  cancel: ['取消', 'Cancel'],
  ok: ['确定', 'OK'],
  more: ['更多', 'More'],
  search: ['搜索', 'Search'],
  noMatch: ['没有找到', 'Nothing found'],
  retry: ['重试', 'Try again'],
  connectNow: ['立即重试', 'Try now'],
  online: ['在线', 'Online'],
  offline: ['离线', 'Offline'],
  copy: ['复制', 'Copy'],
  copied: ['已复制', 'Copied'],
  today: ['今天', 'Today'],
  yesterday: ['昨天', 'Yesterday'],
} satisfies Texts

export const t = translator(common)
