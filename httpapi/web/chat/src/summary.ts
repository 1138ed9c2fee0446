// A message in one line: for the list of conversations, and for the grey lines between messages.
import { type Item, type Message, string } from 'tlim-client'
import { t, language } from './i18n.ts'
import { fileName, oneLine } from 'shared/text.ts'

type NameOf = (id: string) => string

// The directory's name comes before the one that the sender wrote.
const called = (id: string, named: string, nameOf: NameOf) => (id && (nameOf(id) !== id || !named) ? nameOf(id) : named)

const fewPeople = 20

function people(items: unknown, nameOf: NameOf): string {
  const all = Array.isArray(items) ? (items as Item[]) : []
  const names = all.slice(0, fewPeople).map((s) => called(string(s['user_id']), oneLine(string(s['user_name']), 40), nameOf)).join(language.value === 'zh' ? '、' : ', ')
  return all.length > fewPeople ? t('andMore', { names, n: all.length - (language.value === 'zh' ? 0 : fewPeople) }) : names
}

/** event is the grey line of a message that tells of a change; undefined for what somebody said. */
export function event(m: Message, nameOf: NameOf, me: string): string | undefined {
  const b = m.body[0] ?? {}
  const who = m.from === me ? t('you') : nameOf(m.from)
  const zh = language.value === 'zh'
  switch (m.type.slice(4)) {
    case '101':
      return t('revoked', { name: zh ? who : `${who}` })
  }
  switch (m.type) {
    case 'MTT-102':
      return zh ? `${who}发起了聊天` : `${who} started this conversation`
    case 'MTT-200':
      return zh ? `${who}请求清空聊天记录` : `${who} asked to clear the history`
    case 'MTT-201':
      return string(b['status']) === '0' ? (zh ? `${who}同意清空聊天记录` : `${who} agreed to clear the history`) : zh ? `${who}拒绝清空聊天记录` : `${who} refused to clear the history`
    case 'MTS-102': {
      const name = oneLine(string(b['session_name']), 80)
      return zh ? `${who}将群名称改为“${name}”` : `${who} named the group “${name}”`
    }
    case 'MTS-103':
      return zh ? `${who}将${people(b['subscribers'], nameOf)}移出了群聊` : `${who} removed ${people(b['subscribers'], nameOf)}`
    case 'MTS-104':
      return zh ? `${who}退出了群聊` : `${who} left`
    case 'MTS-105':
      return zh ? `${who}创建了群聊` : `${who} made this group`
    case 'MTS-106':
      return zh ? `${who}邀请${people(b['subscribers'], nameOf)}加入了群聊` : `${who} invited ${people(b['subscribers'], nameOf)}`
    case 'MTS-107':
      return zh ? '该群已解散' : 'This group was dissolved'
  }
  return undefined
}

/** counts says whether a message is something to read: said by somebody, no event. */
export function counts(m: Message): boolean {
  return m.type.startsWith('MTB-') || !/^MT[TS]-(1\d\d|201)$/.test(m.type)
}

/** summary is a message as the list shows it. */
export function summary(m: Message, nameOf: NameOf, me: string): string {
  const told = event(m, nameOf, me)
  if (told !== undefined) return told
  const text = content(m)
  return m.group && !m.mine ? `${nameOf(m.from)}：${text}` : text
}

function content(m: Message): string {
  if (m.opaque) return t('opaque')
  const b = m.body[0] ?? {}
  switch (m.type) {
    case 'MTB-000':
      return `${t('approval')} ${oneLine(string(b['docTitle']))}`
    case 'MTB-001':
      return `${t('returned')} ${oneLine(string(b['docTitle']) || string(b['title']))}`
    case 'MTB-100':
      return `${oneLine(string(b['title'])) || t('notice')}`
  }
  switch (m.type.slice(4)) {
    case '000':
      return oneLine(string(b['text']))
    case '001':
      return t('picture')
    case '002':
      return `${t('file')} ${fileName(string(b['fileName']))}`.trim()
    case '003':
      return t('voice')
    case '004':
      return `${t('conference')} ${oneLine(string(b['confName']))}`.trim()
  }
  return oneLine(string(b['text'])) || t('unknownKind', { type: m.type })
}
