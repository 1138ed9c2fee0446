// What can go wrong, with a code for programs and words for people.

export type Language = 'zh' | 'en'

const words: Record<string, [zh: string, en: string]> = {
  'error-000': ['内容不能为空', 'There is nothing in it'],
  'error-001': ['不支持的消息类型', 'This kind of message is not supported'],
  'error-002': ['会话类型无效', 'The type of the conversation is not valid'],
  'error-003': ['没有需要修改的内容', 'There is nothing to change'],
  'error-004': ['发起人无效', 'The owner is not valid'],
  'error-005': ['消息内容无法读取', 'The message cannot be read'],
  'error-006': ['消息内容格式不正确', 'The message has not the right form'],
  'error-007': ['缺少会话', 'The conversation is missing'],
  'error-008': ['用户账号无效', 'The user id is not valid'],
  'error-009': ['该群已解散或不存在', 'This group is gone, or never was'],
  'error-010': ['没有可加入的成员', 'Nobody is left who could be a member'],
  'error-011': ['没有权限', 'You may not do this'],
  'error-012': ['内容过长或超出限制', 'It is too long, or over a limit'],
  'error-013': ['服务繁忙，请稍后再试', 'The server is busy, try again later'],
  'error-014': ['消息编号冲突', 'The message id is in use'],
  network: ['无法连接到服务器', 'The server cannot be reached'],
  timeout: ['服务器没有响应', 'The server does not answer'],
  offline: ['连接已断开', 'There is no connection'],
  refused: ['账号或密码不正确', 'The account or the password is not right'],
  unavailable: ['消息服务暂时不可用', 'The message service is away at the moment'],
  aborted: ['已取消', 'Cancelled'],
  fail: ['操作失败', 'It failed'],
}

export class TlimError extends Error {
  /** error-000 to error-014, or network, timeout, offline, refused, unavailable, aborted, fail. */
  readonly code: string
  /** The server's own sentence. */
  readonly detail: string
  constructor(code: string, detail = '') {
    super(detail ? `${code}: ${detail}` : code)
    this.name = 'TlimError'
    this.code = code
    this.detail = detail
  }

  /** Repeating it later may help. */
  get temporary(): boolean {
    return ['error-013', 'network', 'timeout', 'offline', 'unavailable'].includes(this.code)
  }
}

/** explain puts an error into words, with the server's own behind them where it has any. */
export function explain(error: unknown, language: Language): string {
  if (!(error instanceof TlimError)) return error instanceof Error ? error.message : String(error)
  const known = words[error.code]
  const said = error.detail.replace(/^error-\d{3}:\s*/, '')
  if (!known) return said || error.code
  const text = known[language === 'zh' ? 0 : 1]
  return said && error.code.startsWith('error-') ? (language === 'zh' ? `${text}（${said}）` : `${text} (${said})`) : said && error.code === 'fail' ? said : text
}
