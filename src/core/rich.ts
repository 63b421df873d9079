import { adfToText, isAdf } from './adf.ts'
import { type Fields, has, raw, text } from './fields.ts'
import { htmlToText, isHtml } from './html.ts'
import { wikiToText } from './wiki.ts'

/** A text as a reader sees it, and the markup that it was written in where that is something else. */
export type Rich = { text: string | null; original?: unknown }

/** The first of these keys that holds text; converted when it is HTML. */
export function html(fields: Fields, ...keys: string[]): Rich {
  for (const key of keys) {
    const written = text(fields, key)
    if (written !== null) return richHtml(written)
  }
  return { text: null }
}

export function richHtml(written: string): Rich {
  if (!isHtml(written)) return { text: written }
  return { text: htmlToText(written) || null, original: written }
}

/** Jira's rich text: wiki markup where it is a string, Atlassian Document Format where it is an object. */
export function atlassian(fields: Fields, key: string): Rich {
  if (!has(fields, key)) return { text: null }
  const value = fields.value[key]
  if (isAdf(value)) return { text: adfToText(value) || null, original: raw(fields, key) }
  const written = text(fields, key)
  if (written === null) return { text: null }
  const plain = wikiToText(written)
  return plain === written ? { text: written } : { text: plain || null, original: written }
}

const HEADER = [
  /^\s*-{2,}\s*(?:original message|ursprüngliche nachricht|message d'origine|mensaje original|messaggio originale)\s*-{2,}\s*$/i,
  /^\s*_{20,}\s*$/,
]
const WROTE =
  /(?:wrote|writes|schrieb|a écrit|escribió|ha scritto|schreef|escreveu|skrev|napisał)(?: [^:\n]{1,200})?:\s*$/i

const isQuoted = (line: string) => line.startsWith('>') || line.trim() === ''

/**
 * A mail's text without what it quotes of the message before it: lines marked `>` at its end, and what stands below
 * "On Monday, Ann wrote:". All of it where nothing else would be left. Answers between quoted lines stay as they are.
 */
export function withoutQuotedReply(mail: string): string {
  const lines = mail.split('\n')
  const cut = lines.findIndex((line) => HEADER.some((header) => line.length < 200 && header.test(line)))
  const kept = cut < 0 ? lines : lines.slice(0, cut)
  const last = kept.findLastIndex((line) => !isQuoted(line))
  const body = last < kept.length - 1 && kept.slice(last + 1).some((line) => line.startsWith('>')) ? last : -1
  // "On Monday, Ann wrote:" may be broken over two lines.
  const attribution = body < 0 ? '' : (kept[body] ?? '')
  if (body >= 0 && attribution.length < 400 && WROTE.test(attribution)) {
    kept.length = /^(?:on|am|le|el|il|op|em|den|w dniu)\b/i.test(attribution) || body === 0 ? body : body - 1
  } else if (body >= 0) kept.length = body + 1
  return kept.join('\n').trim() || mail
}
