/** PostgreSQL takes words of 2,046 bytes, and a megabyte of them for one row. */
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

export const short = (word: string) => (word.length > LONGEST ? word.slice(0, LONGEST).toWellFormed() : word)

/** The words of these texts, each once, after those that are given. What is beyond the bound cannot be found. */
export function wordsIn(texts: Iterable<string | null>, given: readonly string[] = []): string[] {
  const words = new Set(given)
  let bytes = 0
  for (const text of texts) {
    for (const word of text === null ? [] : cut(text)) {
      const kept = short(word)
      if (words.has(kept)) continue
      bytes += kept.length * 3 + 4
      if (bytes > MOST_BYTES) return [...words]
      words.add(kept)
    }
  }
  return [...words]
}

/** A word that has to occur, or how one has to begin. */
export type Asked = { word: string; isPrefix: boolean }

/** What one part of a search asks for; a final `*` asks for a prefix. */
export function askedIn(part: string): Asked[] {
  const words = cut(part)
  return words.map((word, index) => ({
    word: short(word),
    isPrefix: part.endsWith('*') && index === words.length - 1,
  }))
}
