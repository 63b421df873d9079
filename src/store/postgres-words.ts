import { isEmail } from '../core/text.ts'

/** PostgreSQL takes words of 2,046 bytes, and a megabyte of them for one ticket. */
const LONGEST = 250
const MOST_BYTES = 700_000

const ASCII = /^[\0-\x7f]*$/

/** Letters and digits, without what stands above or below them, in lower case. */
function cut(text: string): string[] {
  if (ASCII.test(text)) return text.toLowerCase().match(/[a-z0-9]+/g) ?? []
  const plain = text
    .normalize('NFKD')
    .replaceAll(/\p{M}+/gu, '')
    .toLowerCase()
  return plain.match(/[\p{L}\p{N}]+/gu) ?? []
}

const short = (word: string) => (word.length > LONGEST ? word.slice(0, LONGEST).toWellFormed() : word)
const emailWord = (email: string) => short(`email${Buffer.from(email.toLowerCase()).toString('hex')}`)

/** All that a ticket is found by, each word once, with spaces between. What is beyond the bound cannot be found. */
export function wordsOf(ticket: {
  title: string
  description: string
  userEmail: string | null
  userId: string | null
  externalId: string | null
}): string {
  const { title, description, userEmail, userId, externalId } = ticket
  const words = new Set<string>()
  let bytes = 0
  if (userEmail !== null) words.add(emailWord(userEmail))
  for (const text of [title, externalId, userEmail, userId, description]) {
    for (const word of text === null ? [] : cut(text)) {
      const kept = short(word)
      if (words.has(kept)) continue
      bytes += kept.length * 3 + 4
      if (bytes > MOST_BYTES) return [...words].join(' ')
      words.add(kept)
    }
  }
  return [...words].join(' ')
}

/**
 * A search as PostgreSQL writes one, every word of which has to occur; null when there is no word in it. An e-mail
 * address is one word; a final `*` asks for a prefix.
 */
export function searchOf(q: string): string | null {
  const found: string[] = []
  for (const part of q.split(/\s+/u)) {
    if (isEmail(part)) {
      found.push(`'${emailWord(part)}'`)
      continue
    }
    const words = cut(part)
    found.push(
      ...words.map((word, index) => `'${short(word)}'${part.endsWith('*') && index === words.length - 1 ? ':*' : ''}`),
    )
  }
  return found.length === 0 ? null : found.join(' & ')
}
