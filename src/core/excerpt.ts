import { clip } from './text.ts'

const LENGTH = 240
/** No more is looked through: who asks has as many words as texts may be long. */
const LOOKED_THROUGH = 20_000
const WORDS = 20
/** Of what stands before the first word that was found. */
const BEFORE = 60

/** A line of a text: where the first of these words stands, or its beginning. */
export function excerptOf(text: string, asked = ''): string {
  const line = text.slice(0, LOOKED_THROUGH).replaceAll(/\s+/g, ' ').trim()
  if (line.length <= LENGTH) return line
  const lower = line.toLowerCase()
  const places = asked
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word.length > 2)
    .slice(0, WORDS)
    .map((word) => lower.indexOf(word))
    .filter((at) => at >= 0)
  const first = Math.min(...places, line.length)
  if (first === line.length || first <= BEFORE) return `${clip(line, LENGTH)}…`
  // From the beginning of a word.
  const start = line.indexOf(' ', first - BEFORE) + 1
  const cut = clip(line.slice(start), LENGTH)
  return `…${cut}${start + cut.length < line.length ? '…' : ''}`
}
