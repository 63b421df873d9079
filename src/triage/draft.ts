import { compileRedaction } from '../core/redaction.ts'
import { clip } from '../core/text.ts'

/** What a reply may be taken from: the answer that solved a ticket, or a piece of an article. */
export type Answered = {
  kind: 'ticket' | 'article'
  id: number
  title: string
  text: string
  /** How alike it is to the ticket, from 0 to 1, as `rank` says. */
  score: number
}
export type Source = Pick<Answered, 'kind' | 'id' | 'title'>
export type Draft = { text: string; sources: Source[]; confidence: number }

/** Less alike than this, an answer is to another question. */
const LEAST_SCORE = 0.4
const LIMIT = 4000

const GREETING = /^(?:hi|hello|hey|dear|good (?:morning|afternoon|evening))\b[^\n]{0,80}\n+/i
const CLOSING =
  /\n(?:(?:best|kind|warm)(?: regards| wishes)?|regards|sincerely|cheers|many thanks|thanks|thank you)[,.!]?\s*\n[^]{0,400}$/i

/**
 * A reply from what helped before, with its source; null when nothing is near enough. A person's name in the greeting,
 * who signed, and what looks like personal data of somebody else stay out of it.
 */
export function draftFrom(answers: readonly Answered[]): Draft | null {
  const best = answers
    .filter(({ score, text }) => score >= LEAST_SCORE && text.trim() !== '')
    .toSorted((one, other) => other.score - one.score)[0]
  if (best === undefined) return null
  const { kind, id, title, text, score } = best
  const body = withoutPeople(text.trim().replace(GREETING, '').replace(CLOSING, '').trim())
  if (body === '') return null
  return { text: `Hello,\n\n${clip(body, LIMIT)}`, sources: [{ kind, id, title }], confidence: score }
}

const redaction = compileRedaction(
  (['email', 'phone', 'card', 'iban'] as const).map((kind) => ({ kind, scope: 'raw' as const })),
  () => '',
)

/** A text with addresses, telephone, card and account numbers replaced by what they are. */
export const withoutPeople = (text: string): string => redaction?.rawText(text) ?? text
