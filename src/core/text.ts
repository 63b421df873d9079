export const TITLE_LIMIT = 500
/** How long what a ticket is known, grouped or filtered by may be. Its words are bounded by the body alone. */
export const NAME_LIMIT = 500
/** Of the metadata that a sender says, as JSON. */
export const METADATA_LIMIT = 262_144

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** Text as it is kept: trimmed, line ends as LF, and no character that a database or a client chokes on. */
export function cleanText(text: string): string {
  const unix = text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text
  return wellFormed(unix).trim()
}

/** NUL and lone surrogates become U+FFFD: PostgreSQL refuses the first, UTF-8 cannot write the second. */
export function wellFormed(text: string): string {
  const formed = text.isWellFormed() ? text : text.toWellFormed()
  return formed.includes('\0') ? formed.replaceAll('\0', '\u{FFFD}') : formed
}

/** At most `limit` UTF-16 units, never cutting through what a reader sees as one character. */
export function clip(text: string, limit: number): string {
  if (text.length <= limit) return text
  // One segment more than the limit is enough to see where the last whole one ends.
  let end = 0
  for (const { index, segment } of graphemes.segment(text.slice(0, limit * 2))) {
    if (index + segment.length > limit) break
    end = index + segment.length
  }
  // A single "character" longer than the limit (a pile of combining marks) is cut between code points.
  return end > 0
    ? text.slice(0, end)
    : text
        .slice(0, limit)
        .toWellFormed()
        .replace(/\u{FFFD}$/u, '')
}

/** One `@`, no spaces or brackets, and a domain with a dot. Deliverability is not ours to judge. */
export function isEmail(text: string): boolean {
  if (text.length > 320) return false
  return /^[^\s@"<>(),:;\\]{1,64}@[^\s@."<>(),:;\\]+(\.[^\s@."<>(),:;\\]+)+$/u.test(text)
}

/** Bytes in the charset that their sender names; as UTF-8 where that is one that nobody knows. */
export function decodeText(bytes: Uint8Array, charset: string): string {
  try {
    return new TextDecoder(charset).decode(bytes)
  } catch {
    return new TextDecoder().decode(bytes)
  }
}
