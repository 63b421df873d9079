const WORD = /[\p{L}\p{N}]+/gu

/** English words that say nothing of what a ticket is about. */
const EMPTY = new Set(
  (
    'a about am an and are as at be been but by can could did do does for from had has have he hello her hi his how i if ' +
    'in is it its me my no not of on or our please she should so thank thanks that the their them there they this to up ' +
    'us was we were what when where which who why will with would you your'
  ).split(' '),
)

/** How much of a text is looked at, in characters. */
const LIMIT = 20_000

/** The words of a text that tell it from others, in lower case and without English endings, as often as they occur. */
export function termsOf(text: string): string[] {
  const words = text.slice(0, LIMIT).toLowerCase().match(WORD) ?? []
  return words.filter((word) => !EMPTY.has(word) && word.length <= 64).map(stem)
}

/** A word without the ending that makes it a plural or a form of its verb; rough, and the same for each of them. */
export function stem(word: string): string {
  if (word.length < 5) return word.length === 4 && word.endsWith('s') && !word.endsWith('ss') ? word.slice(0, -1) : word
  const root = word.replace(/(?:ies|ied)$/, 'y').replace(/(?:ations?|ments?|ings?|ed|ers?|es|s|ly|e)$/, '')
  return root.length < 3 ? word : root.replace(/([b-df-hj-np-tv-z])\1$/, '$1')
}
