import { wordsOf } from './features.ts'
import { isStopWord, stem } from './words.ts'

/** What a category is called, and what belongs to it: a sentence or two, and words that tickets of it would use. */
export type Category = { name: string; description: string; keywords: readonly string[] }

/** Categories ready to be held against tickets. */
export type Descriptions = {
  categories: readonly Category[]
  /** Of each category: its words by their stems, with what each weighs. */
  words: Map<string, number>[]
  /** Of each category its vectors, their common part taken off; empty where there is no embedder. */
  vectors: Float32Array[][]
  common: Float32Array | null
}

const KEYWORD = 1
const DESCRIBED = 0.4
const PAIR = 1.6
/** How much words count beside vectors. */
const WORDS_SHARE = 1.2

/** What an embedder has to be asked about each category, in the order in which `describe` takes the answers. */
export const textsOf = ({ name, description, keywords }: Category): [string, string] => [
  `${name.replaceAll(/[_-]/g, ' ')}: ${description}`,
  `${description} ${keywords.join(', ')}`,
]

/** `vectors` are those of all `textsOf` all categories, or null. */
export function describe(categories: readonly Category[], vectors: readonly Float32Array[] | null): Descriptions {
  const words = categories.map(wordsOfCategory)
  const spread = new Map<string, number>()
  for (const own of words) for (const word of own.keys()) spread.set(word, (spread.get(word) ?? 0) + 1)
  // A word that half of the categories have says little about any of them.
  for (const own of words)
    for (const [word, weight] of own) own.set(word, weight * Math.log(1 + categories.length / (spread.get(word) ?? 1)))
  if (vectors === null || vectors.length === 0) return { categories, words, vectors: [], common: null }
  const common = meanOf(vectors)
  const own = categories.map((_, index) => vectors.slice(index * 2, index * 2 + 2).map((one) => away(one, common)))
  return { categories, words, vectors: own, common }
}

function wordsOfCategory({ name, description, keywords }: Category): Map<string, number> {
  const found = new Map<string, number>()
  const add = (word: string, weight: number) => found.set(word, Math.max(weight, found.get(word) ?? 0))
  for (const text of [name.replaceAll(/[_-]/g, ' '), ...keywords]) {
    const stems = wordsOf(text).map(stem)
    for (const one of stems) if (!isStopWord(one)) add(one, stems.length > 1 ? DESCRIBED : KEYWORD)
    for (const pair of pairsOf(stems)) add(pair, PAIR)
  }
  for (const word of wordsOf(description)) if (!isStopWord(word)) add(stem(word), DESCRIBED)
  return found
}

const pairsOf = (stems: readonly string[]): string[] => stems.slice(1).map((one, index) => `${stems[index]} ${one}`)

/** How well each category fits a text: two standard scores added, so 0 on average. All zero when nothing speaks. */
export function fitOf(text: string, vector: Float32Array | null, descriptions: Descriptions): Float32Array {
  const stems = wordsOf(text).map(stem)
  const heard = new Set([...stems, ...pairsOf(stems)])
  const fits = new Float32Array(descriptions.categories.length)
  const byWords = standardised(descriptions.words.map((own) => sumOf(own, heard)))
  for (let c = 0; c < fits.length; c += 1) fits[c] = WORDS_SHARE * (byWords[c] as number)
  const { vectors, common } = descriptions
  if (vector === null || common === null) return fits
  const seen = away(vector, common)
  const byVectors = standardised(vectors.map((own) => own.reduce((sum, one) => sum + dot(seen, one), 0)))
  for (let c = 0; c < fits.length; c += 1) fits[c] = (fits[c] as number) + (byVectors[c] as number)
  return fits
}

function sumOf(own: ReadonlyMap<string, number>, heard: ReadonlySet<string>): number {
  let sum = 0
  for (const word of heard) sum += own.get(word) ?? 0
  return sum
}

function standardised(values: readonly number[]): number[] {
  const mean = values.reduce((sum, one) => sum + one, 0) / values.length
  const variance = values.reduce((sum, one) => sum + (one - mean) ** 2, 0) / values.length
  return variance < 1e-12 ? values.map(() => 0) : values.map((one) => (one - mean) / Math.sqrt(variance))
}

export function meanOf(vectors: readonly Float32Array[]): Float32Array {
  const mean = new Float32Array(vectors[0]?.length ?? 0)
  for (const vector of vectors)
    for (let d = 0; d < mean.length; d += 1) mean[d] = (mean[d] as number) + (vector[d] as number) / vectors.length
  return mean
}

/** A vector without the part that all have in common, of length one. */
export function away(vector: Float32Array, common: Float32Array): Float32Array {
  const result = new Float32Array(vector.length)
  let sum = 0
  for (let d = 0; d < vector.length; d += 1) {
    const one = (vector[d] as number) - (common[d] ?? 0)
    result[d] = one
    sum += one * one
  }
  const norm = sum === 0 ? 1 : Math.sqrt(sum)
  for (let d = 0; d < result.length; d += 1) result[d] = (result[d] as number) / norm
  return result
}

function dot(one: Float32Array, other: Float32Array): number {
  let sum = 0
  for (let d = 0; d < one.length; d += 1) sum += (one[d] as number) * (other[d] as number)
  return sum
}
