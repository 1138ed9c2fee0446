import { ref } from 'vue'
import type { Language } from 'tlim-client'

const texts = {
  // login
  login: ['登录', 'Sign in'],
  loggingIn: ['正在登录…', 'Signing in…'],
  account: ['账号', 'Account'],
  password: ['密码', 'Password'],
  welcome: ['企业即时通讯', 'Messages at work'],
  insecure: ['当前连接未加密，密码和消息可能被他人看到。', 'This connection is not encrypted: others may see the password and the messages.'],
  loadingConfig: ['正在连接…', 'Connecting…'],
  configFailed: ['无法连接到服务器', 'The server cannot be reached'],
  retry: ['重试', 'Try again'],
  needBoth: ['请输入账号和密码', 'Enter the account and the password'],
  // state
  connecting: ['正在连接…', 'Connecting…'],
  reconnecting: ['正在重新连接…', 'Connecting again…'],
  waiting: ['连接已断开，{n} 秒后重试', 'The connection is gone; next try in {n} s'],
  connectNow: ['立即重试', 'Try now'],
  online: ['在线', 'Online'],
  offline: ['离线', 'Offline'],
  away: ['离开', 'Away'],
  busy: ['忙碌', 'Busy'],
  // list
  conversations: ['会话', 'Conversations'],
  search: ['搜索', 'Search'],
  newChat: ['发起聊天', 'New chat'],
  newGroup: ['创建群聊', 'New group'],
  systemMessages: ['系统消息', 'System messages'],
  noConversations: ['还没有会话', 'No conversations yet'],
  noMatch: ['没有找到', 'Nothing found'],
  unreadCount: ['{n} 条未读', '{n} unread'],
  draft: ['[草稿]', '[Draft]'],
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
  pick: ['选择一个会话开始聊天', 'Choose a conversation'],
  // people and groups
  groupName: ['群名称', 'Name of the group'],
  groupNameHint: ['不填则用成员姓名', "Left out: the members' names"],
  findPeople: ['按姓名或账号查找', 'Find by name or account'],
  chosen: ['已选成员', 'Chosen'],
  removePerson: ['移除', 'Remove'],
  create: ['创建', 'Create'],
  // messages
  writeHere: ['输入消息', 'Write a message'],
  send: ['发送', 'Send'],
  sendHint: ['Enter 发送，Shift + Enter 换行', 'Enter sends, Shift + Enter breaks the line'],
  emoji: ['表情', 'Emoji'],
  attach: ['发送文件', 'Send a file'],
  attachPicture: ['发送图片', 'Send a picture'],
  tooLong: ['内容过长：最多 {n} 个字', 'Too long: {n} characters at most'],
  tooLarge: ['文件过大：最大 {n}', 'Too large: {n} at most'],
  pending: ['发送中', 'Sending'],
  waitingToSend: ['等待连接后发送', 'Sent when the connection is back'],
  failed: ['发送失败', 'Not sent'],
  resend: ['重新发送', 'Send again'],
  read: ['已读', 'Read'],
  unread: ['未读', 'Unread'],
  readBy: ['{n} 人已读', 'Read by {n}'],
  allRead: ['全部已读', 'Read by all'],
  nobodyRead: ['未读', 'Unread'],
  readers: ['消息阅读情况', 'Who has read it'],
  readN: ['已读 {n}', 'Read {n}'],
  unreadN: ['未读 {n}', 'Unread {n}'],
  revoke: ['撤回', 'Revoke'],
  copy: ['复制', 'Copy'],
  copied: ['已复制', 'Copied'],
  revoked: ['{name}撤回了一条消息', '{name} revoked a message'],
  you: ['你', 'You'],
  picture: ['[图片]', '[Picture]'],
  file: ['[文件]', '[File]'],
  voice: ['[语音]', '[Voice]'],
  conference: ['[会议]', '[Conference]'],
  approval: ['[审批]', '[Approval]'],
  notice: ['[系统消息]', '[System message]'],
  returned: ['[退回]', '[Returned]'],
  opaque: ['[加密消息，此客户端无法显示]', '[An encrypted message that this client cannot show]'],
  unknownKind: ['[暂不支持的消息类型 {type}]', '[A message of a kind that is not supported here: {type}]'],
  showAll: ['展开全文', 'Show all of it'],
  showLess: ['收起', 'Show less'],
  download: ['下载', 'Download'],
  downloading: ['下载中…', 'Loading…'],
  fileGone: ['文件不存在或已被清理', 'The file is gone'],
  today: ['今天', 'Today'],
  yesterday: ['昨天', 'Yesterday'],
  loadingOlder: ['正在加载…', 'Loading…'],
  beginning: ['没有更早的消息了', 'This is the beginning'],
  noMessages: ['还没有消息，打个招呼吧', 'No messages yet. Say hello'],
  newMessages: ['{n} 条新消息', '{n} new'],
  toBottom: ['回到最新消息', 'To the newest message'],
  newDivider: ['以下是新消息', 'New'],
  messages: ['消息', 'Messages'],
} satisfies Record<string, [zh: string, en: string]>

export type Key = keyof typeof texts

export const language = ref<Language>('zh')

export function t(key: Key, values: Record<string, string | number> = {}): string {
  const text = texts[key][language.value === 'zh' ? 0 : 1]
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''))
}

/** setLanguage keeps the choice in this browser. */
export function setLanguage(l: Language): void {
  language.value = l
  document.documentElement.lang = l === 'zh' ? 'zh-CN' : 'en'
}
