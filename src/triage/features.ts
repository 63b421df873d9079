/** Of a longer text the beginning decides; what follows is quotations, logs and signatures. In UTF-16 units. */
export const TEXT_LIMIT = 3000

// Scripts that write without spaces: each of their signs is a word of its own, and two are the pair that says most.
const WORD =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]|[\p{L}\p{M}\p{N}]+/gu
const LONGEST_WORD = 40

/** Words in lower case, "don't" as one. */
export function wordsOf(text: string): string[] {
  const plain = text.slice(0, TEXT_LIMIT).normalize('NFKC').toLowerCase().replaceAll(/['’]/g, '')
  return plain.match(WORD) ?? []
}

/** Grams of a text by their hashes, and how often each is in it: first those of words, `words` of them, then letters. */
export type Grams = { ids: Int32Array; counts: Uint16Array; words: number }

/**
 * Words and pairs of words; runs of 3 to 5 letters within a word and its bounds, which forgive endings and typing
 * errors. Grams are 31-bit hashes: of 200,000 about nine pairs fall together, and no text of a ticket is in a model.
 */
export function gramsOf(text: string): Grams {
  const words = new Map<number, number>()
  const letters = new Map<number, number>()
  let before = 0
  for (const word of wordsOf(text)) {
    const hash = hashOf(word, 0, word.length, WORD_SEED)
    add(words, hash >>> 1)
    if (before !== 0) add(words, mix(before, hash) >>> 1)
    before = hash
    addLetters(letters, ` ${word.slice(0, LONGEST_WORD)} `)
  }
  return {
    ids: Int32Array.from([...words.keys(), ...letters.keys()]),
    counts: Uint16Array.from([...words.values(), ...letters.values()]),
    words: words.size,
  }
}

const WORD_SEED = 0x811c9dc5
const LETTER_SEED = 0x9747b28c

function addLetters(letters: Map<number, number>, padded: string): void {
  for (let length = 3; length <= 5; length += 1) {
    for (let start = 0; start + length <= padded.length; start += 1)
      add(letters, hashOf(padded, start, start + length, LETTER_SEED) >>> 1)
  }
}

function add(counts: Map<number, number>, gram: number): void {
  counts.set(gram, (counts.get(gram) ?? 0) + 1)
}

/** FNV-1a, finished as murmur3 does, so that each bit counts. */
function hashOf(text: string, start: number, end: number, seed: number): number {
  let hash = seed
  for (let at = start; at < end; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return finish(hash)
}

const mix = (one: number, other: number): number => finish(Math.imul(one, 0x01000193) ^ other)

function finish(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** What a model knows of grams: the place of each, and how rare it is. */
export type Vocabulary = { places: Map<number, number>; rarity: Float32Array }

/** Places and weights of the grams of one text. */
export type Sparse = { places: Int32Array; weights: Float32Array }

/** In how many texts each gram is. */
export function countInto(counts: Map<number, number>, { ids }: Grams): void {
  for (const gram of ids) add(counts, gram)
}

/** The grams of so many texts; above `limit`, those in most of them. */
export function vocabularyOf(counts: ReadonlyMap<number, number>, texts: number, limit: number): Vocabulary {
  let grams = [...counts]
  if (grams.length > limit) grams = grams.toSorted(([, one], [, other]) => other - one).slice(0, limit)
  const places = new Map(grams.map(([gram], place) => [gram, place]))
  const rarity = Float32Array.from(grams, ([, count]) => Math.log((1 + texts) / (1 + count)) + 1)
  return { places, rarity }
}

/** Sublinear counts times rarity; words and letters each of length one, so that neither drowns the other. */
export function sparseOf({ ids, counts, words }: Grams, { places, rarity }: Vocabulary): Sparse {
  const found = new Int32Array(ids.length)
  const weights = new Float32Array(ids.length)
  let size = 0
  for (const [from, to] of [
    [0, words],
    [words, ids.length],
  ] as const) {
    const start = size
    let sum = 0
    for (let at = from; at < to; at += 1) {
      const place = places.get(ids[at] as number)
      if (place === undefined) continue
      const weight = (1 + Math.log(counts[at] as number)) * (rarity[place] as number)
      found[size] = place
      weights[size] = weight
      size += 1
      sum += weight * weight
    }
    const norm = sum === 0 ? 1 : Math.sqrt(sum)
    for (let at = start; at < size; at += 1) weights[at] = (weights[at] as number) / norm
  }
  return { places: found.slice(0, size), weights: weights.slice(0, size) }
}
