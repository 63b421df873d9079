import { wordsOf } from './features.ts'
import { isStopWord, stem } from './words.ts'

/** What is found: a ticket, or a piece of an article. `id` is unique within its kind. */
export type FoundKind = 'ticket' | 'chunk'

export type Document = {
  kind: FoundKind
  id: number
  text: string
  /** A byte a dimension where it comes from the store; null where none could be made, left out to keep the one it has. */
  vector?: Float32Array | Int8Array | null
  /** Of a ticket, whether nobody has to do anything about it any more. */
  isSolved: boolean
  /** Of a ticket that another one stands for: it is remembered, and that one is found instead. */
  isMerged?: boolean
}

/** `score` from 0 to 1: half by words, half by meaning where both have a vector. */
export type Found = { kind: FoundKind; id: number; score: number; isSolved: boolean; isDuplicate: boolean }

export type Question = {
  text: string
  vector: Float32Array | null
  limit: number
  kind?: FoundKind
  isSolved?: boolean
  /** A ticket that is not to be found: the one that is asked about. */
  except?: number
}

/**
 * Cosines of a sentence encoder below this are those of any two texts. Fixed ends, and not each list's own: what is
 * found in a list of strangers is a stranger too.
 */
const UNRELATED = 0.3
/** From here on two tickets are probably the same: by words alone, and by both. */
const SAME_WORDS = 0.75
const SAME = 0.8
/** Of a document: what makes it long says little of what it is about. */
const MAX_TERMS = 200

type Entry = {
  kind: FoundKind
  id: number
  isSolved: boolean
  isMerged: boolean
  /** Its words, and beside each how much it says here: flat, because every question walks through all of them. */
  words: Uint32Array
  weights: Float32Array
  vector: Int8Array | null
  /** The length of the vector. */
  norm: number
}

export type Finder = ReturnType<typeof createFinder>

/**
 * Finds what is like a text, in memory: the cosine of its words' weights (tf-idf) and that of its vectors, half each, on
 * fixed scales, so that a score means the same in each list. Holds the newest `capacity` documents of a kind; vectors take
 * a byte a dimension. Exact: every document is looked at.
 */
export function createFinder(capacity: number) {
  const entries = new Map<string, Entry>()
  const counts: Record<FoundKind, number> = { ticket: 0, chunk: 0 }
  const words = new Map<string, number>()
  /** By word: in how many documents it is, and what that says of it; the latter is made anew when a question comes. */
  const frequency: number[] = []
  let rarity = new Float32Array(0)
  let isChanged = true

  function add({ kind, id, text, vector, isSolved, isMerged = false }: Document): void {
    const known = entries.get(keyOf(kind, id))?.vector ?? null
    remove(kind, id)
    const terms = countsOf(text, wordOf)
    for (const word of terms.keys()) frequency[word] = (frequency[word] ?? 0) + 1
    const small = vector === undefined ? known : vector && quantised(vector)
    entries.set(keyOf(kind, id), {
      kind,
      id,
      isSolved,
      isMerged,
      words: Uint32Array.from(terms.keys()),
      weights: Float32Array.from(terms.values(), (count) => 1 + Math.log(count)),
      vector: small,
      norm: small === null ? 0 : Math.sqrt(dot(small, small)),
    })
    counts[kind] += 1
    isChanged = true
    if (counts[kind] > capacity) forgetOldest(kind)
  }

  function forgetOldest(kind: FoundKind): void {
    // A map keeps the order in which things were put in; what was changed since counts as new.
    for (const entry of entries.values()) if (entry.kind === kind) return remove(kind, entry.id)
  }

  function remove(kind: FoundKind, id: number): void {
    const entry = entries.get(keyOf(kind, id))
    if (entry === undefined) return
    for (const word of entry.words) frequency[word] = (frequency[word] ?? 1) - 1
    entries.delete(keyOf(kind, id))
    counts[kind] -= 1
    isChanged = true
  }

  function wordOf(term: string): number {
    const known = words.get(term)
    if (known !== undefined) return known
    words.set(term, words.size)
    return words.size - 1
  }

  function weighWords(): void {
    if (!isChanged) return
    rarity = Float32Array.from(frequency, (count) => (count === 0 ? 0 : Math.log(1 + entries.size / count)))
    isChanged = false
  }

  /** The best first; what is not like it at all is left out. */
  function find({ text, vector, limit, kind, isSolved, except }: Question): Found[] {
    weighWords()
    const asked = new Float32Array(rarity.length)
    let square = 0
    for (const [word, count] of countsOf(text, (term) => words.get(term))) {
      asked[word] = (1 + Math.log(count)) * (rarity[word] ?? 0)
      square += (asked[word] ?? 0) ** 2
    }
    const length = Math.sqrt(square)
    const meaning = vector && quantised(vector)
    const norm = meaning === null ? 0 : Math.sqrt(dot(meaning, meaning))
    const found: Found[] = []
    for (const entry of entries.values()) {
      if (entry.isMerged || (kind !== undefined && entry.kind !== kind)) continue
      if (isSolved !== undefined && entry.isSolved !== isSolved) continue
      if (entry.kind === 'ticket' && entry.id === except) continue
      const lexical = length === 0 ? 0 : likeness(asked, length, entry)
      const own = entry.vector
      const isBoth = meaning !== null && own !== null && own.length === meaning.length
      const near = isBoth
        ? Math.max(0, (dot(meaning, own) / (norm * entry.norm || 1) - UNRELATED) / (1 - UNRELATED))
        : 0
      const score = isBoth ? (lexical + near) / 2 : lexical
      if (score === 0) continue
      const isDuplicate = score >= (isBoth ? SAME : SAME_WORDS)
      found.push({ kind: entry.kind, id: entry.id, score, isSolved: entry.isSolved, isDuplicate })
    }
    return found.toSorted((a, b) => b.score - a.score || b.id - a.id).slice(0, limit)
  }

  /** The cosine of the weights of two texts' words. */
  function likeness(asked: Float32Array, length: number, entry: Entry): number {
    let [common, square] = [0, 0]
    for (let index = 0; index < entry.words.length; index += 1) {
      const word = entry.words[index] ?? 0
      const weight = (entry.weights[index] ?? 0) * (rarity[word] ?? 0)
      common += weight * (asked[word] ?? 0)
      square += weight * weight
    }
    return common === 0 ? 0 : Math.min(1, common / (length * Math.sqrt(square)))
  }

  return { add, remove, find, size: (kind: FoundKind) => counts[kind] }
}

/** How often each word of a text occurs; those that `numberOf` does not know are left out. */
function countsOf(text: string, numberOf: (term: string) => number | undefined): Map<number, number> {
  const terms = new Map<number, number>()
  for (const term of termsOf(text)) {
    const word = numberOf(term)
    if (word === undefined) continue
    if (terms.size < MAX_TERMS || terms.has(word)) terms.set(word, (terms.get(word) ?? 0) + 1)
  }
  return terms
}

const keyOf = (kind: FoundKind, id: number) => `${kind}:${id}`

/** A vector in a byte a dimension: 127 is its largest part. The cosine does not mind the scale. */
export function quantised(vector: Float32Array | Int8Array): Int8Array {
  if (vector instanceof Int8Array) return vector
  let largest = 0
  for (const part of vector) largest = Math.max(largest, Math.abs(part))
  const scale = largest === 0 ? 0 : 127 / largest
  return Int8Array.from(vector, (part) => Math.round(part * scale))
}

function dot(a: Int8Array, b: Int8Array): number {
  let sum = 0
  // Within both, and whole numbers: said so, it takes half as long.
  for (let index = 0; index < a.length; index += 1) sum = (sum + (a[index] as number) * (b[index] as number)) | 0
  return sum
}

/** The words of a text that tell it from others, without English endings, as often as they occur. */
const termsOf = (text: string): string[] =>
  wordsOf(text)
    .filter((word) => !isStopWord(word))
    .map(stem)
