import { isEmail } from '../core/text.ts'
import { type Asked, askedIn, short, wordsIn } from './words.ts'

const emailWord = (email: string) => short(`email${Buffer.from(email.toLowerCase()).toString('hex')}`)

/** All that a ticket is found by, each word once, with spaces between. */
export function wordsOf(ticket: {
  title: string
  description: string
  userEmail: string | null
  userId: string | null
  externalId: string | null
}): string {
  const { title, description, userEmail, userId, externalId } = ticket
  const given = userEmail === null ? [] : [emailWord(userEmail)]
  return wordsIn([title, externalId, userEmail, userId, description], given).join(' ')
}

/**
 * A search for tickets as PostgreSQL writes one, every word of which has to occur; null when there is no word in it. An
 * e-mail address is one word; a final `*` asks for a prefix.
 */
export function searchOf(q: string): string | null {
  return queryOf(
    q.split(/\s+/u).flatMap((part) => (isEmail(part) ? { word: emailWord(part), isPrefix: false } : askedIn(part))),
  )
}

/** Words with spaces between, as PostgreSQL keeps them in a row. */
export const WORDS = (value: string) => `array_to_tsvector(array_remove(string_to_array(${value}, ' '), ''))`

/** Words that all have to occur, as PostgreSQL writes it; null for none. */
export const queryOf = (asked: readonly Asked[]): string | null =>
  asked.length === 0 ? null : asked.map(({ word, isPrefix }) => `'${word}'${isPrefix ? ':*' : ''}`).join(' & ')
