// Texts of others are shown as text, never as markup. What looks like a web address becomes a link, of which the address shown is the one that opens.
export interface Piece { text: string; href?: string }

const address = /\bhttps?:\/\/[^\s<>"'`\u0000-\u001f\u007f-\u009f\u00a0\u3000-\u303f\uff00-\uffef\u200b-\u200f\u202a-\u202e\u2060-\u2069]+/giu

export function pieces(text: string): Piece[] {
  const out: Piece[] = []
  let end = 0
  for (const match of text.matchAll(address)) {
    let cut = match[0].length
    while (cut > 0 && '.,;:!?)]}'.includes(match[0][cut - 1]!)) cut-- // an expression would look at a long run of dots from each of them
    const href = match[0].slice(0, cut)
    let url: URL
    try {
      url = new URL(href)
    } catch {
      continue
    }
    // A name in front of the host is there to deceive; letters beyond ASCII in the host may be.
    if (url.username || url.password) continue
    if (match.index > end) out.push({ text: text.slice(end, match.index) })
    out.push({ text: href, href: url.href })
    end = match.index + href.length
  }
  if (end < text.length) out.push({ text: text.slice(end) })
  return out
}

/** safeLink is an address of a business message, if it may be opened. */
export function safeLink(address: string): string | undefined {
  try {
    const url = new URL(address)
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : undefined
  } catch {
    return undefined
  }
}

/** oneLine is a text for a list: without line ends, without marks that turn the direction; a long one ends with … at max UTF-16 units. */
export function oneLine(text: string, max = 120): string {
  const line = text.slice(0, max * 2).replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '').replace(/\s+/gu, ' ').trim()
  if (line.length <= max && text.length <= max * 2) return line
  return `${line.slice(0, max - 1).replace(/[\ud800-\udbff]$/, '')}…` // no half of a sign
}

/** fileName is the name of a file of somebody else's: one line, of which a long one keeps its end, because that says what the file is. */
export function fileName(name: string, max = 120): string {
  const line = oneLine(name.replace(/[\u0000-\u001f\u007f-\u009f]/gu, ' '), Infinity)
  if (line.length <= max) return line
  const end = ending(line)
  return oneLine(line, max - end.length) + end
}

/** ending is what is never left out of a file's name: its suffix, and a little in front of it. */
export function ending(name: string): string {
  const suffix = /\.[\p{L}\p{N}]{1,10}$/u.exec(name)?.[0] ?? ''
  return suffix && [...name.slice(0, -suffix.length)].slice(-2).join('') + suffix
}

const emoji = /^(?:\p{Extended_Pictographic}(?:\ufe0f|\u200d\p{Extended_Pictographic}|\p{Emoji_Modifier})*\s*){1,3}$/u
export const onlyEmoji = (text: string) => text.length <= 30 && emoji.test(text)

export function size(bytes: number): string {
  if (!(bytes >= 0)) return ''
  const units = ['B', 'KB', 'MB', 'GB']
  let i = 0
  while (bytes >= 1024 && i < units.length - 1) (bytes /= 1024), i++
  return `${i === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${units[i]}`
}
