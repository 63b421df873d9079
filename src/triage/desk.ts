import { deserialize, serialize } from 'node:v8'

import { type Example, classify, learn, type Model, unlearned, type Verdict } from './classifier.ts'
import { type Category, type Descriptions, describe, textsOf } from './descriptions.ts'
import { type Embedder, understands } from './embedder.ts'
import { languageOf } from './language.ts'
import { priorityByRules } from './priority-rules.ts'
import type { Pause } from './regression.ts'

/** A ticket's words: its title counts as much as the rest, because it stands first. */
export const ticketText = ({ title, description }: { title: string; description: string }): string =>
  `${title}\n${description}`

/** A ticket that people have sorted; null where they did not. `vector` is what `embed` gave for it, if it is at hand. */
export type LabelledTicket = {
  text: string
  category: string | null
  priority: string | null
  vector: Float32Array | null
}

/** What the engine thinks of a ticket. A field is null when nothing speaks for any value. */
export type Opinion = {
  language: string | null
  category: Verdict | null
  priority: Verdict | null
  /** To be kept with `embedder`, its model's id, for `index` and `learn`. */
  vector: Float32Array | null
  embedder: string | null
  /** What it had to do without, in a sentence. */
  problem: string | null
  took_ms: number
}

/** A vector a text; null where the embedder does not know its language, or where it failed: then it is not complete. */
export type Embedded = { embedder: string | null; vectors: (Float32Array | null)[]; isComplete: boolean }

export type LearnedField = { examples: number; classes: number; trials: number; threshold: number | null }
export type Learned = { category: LearnedField; priority: LearnedField; took_ms: number }

export type DeskState = {
  embedder: string | null
  problem: string | null
  category: LearnedField
  priority: LearnedField
}

type Settings = {
  embedder: Embedder | null
  categories: readonly Category[]
  precision: number
  now: () => number
}

/** Rules are better than a regression on less. */
const LEAST_PRIORITIES = 50
/** After a fault of the embedder. Until then tickets are read by their words alone. */
const RETRY_MS = 60_000
const VERSION = 1
const NO_DESCRIPTIONS = describe([], null)
const AT_A_TIME = 32
const NEVER = new AbortController().signal

/** The engine itself: its models, and what they are asked. Lives in a thread of its own, see `engine.ts`. */
export function createDesk({ embedder, now, ...given }: Settings) {
  let { categories, precision } = given
  let descriptions: Descriptions = describe(categories, null)
  let category: Model = unlearned(descriptions)
  let priority: Model = unlearned(NO_DESCRIPTIONS)
  let problem: string | null = null
  let retryAt = 0
  let describing: Promise<void> | null = null

  /** Vectors of texts, or null when there is no embedder or it fails. Rejects only when it is told to stop. */
  async function vectorsOf(texts: readonly string[], signal: AbortSignal): Promise<Float32Array[] | null> {
    if (embedder === null || now() < retryAt) return null
    try {
      if (categories.length > 0 && descriptions.common === null) {
        // Once for all who ask meanwhile, and so nobody's to stop.
        describing ??= describeAgain(embedder, NEVER).finally(() => (describing = null))
        await describing
      }
      const vectors = await embedder.embed(texts, signal)
      problem = null
      return vectors
    } catch (error) {
      signal.throwIfAborted()
      problem = `Without vectors for now: ${error instanceof Error ? error.message : String(error)}`
      retryAt = now() + RETRY_MS
      return null
    }
  }

  async function describeAgain(by: Embedder, signal: AbortSignal): Promise<void> {
    const asked = categories
    const vectors = await by.embed(asked.flatMap(textsOf), signal)
    if (asked === categories) descriptions = describe(asked, vectors)
  }

  async function vectorOf(text: string, language: string | null, signal: AbortSignal): Promise<Float32Array | null> {
    if (embedder === null || !understands(embedder, language)) return null
    return (await vectorsOf([text], signal))?.[0] ?? null
  }

  async function judge(text: string, signal: AbortSignal): Promise<Opinion> {
    const started = performance.now()
    const language = languageOf(text)
    const vector = await vectorOf(text, language, signal)
    const byModel = priority.learned < LEAST_PRIORITIES ? null : classify(priority, NO_DESCRIPTIONS, text, vector)
    return {
      language,
      category: classify(category, descriptions, text, vector),
      priority: byModel ?? priorityByRules(text, language),
      vector,
      embedder: vector === null ? null : (embedder?.id ?? null),
      problem,
      took_ms: performance.now() - started,
    }
  }

  async function embed(texts: readonly string[], signal: AbortSignal): Promise<Embedded> {
    const wanted = texts.filter((text) => embedder !== null && understands(embedder, languageOf(text)))
    const vectors = wanted.length === 0 ? [] : await vectorsOf(wanted, signal)
    const of = new Map(wanted.map((text, at) => [text, vectors?.[at] ?? null]))
    return {
      embedder: embedder?.id ?? null,
      vectors: texts.map((text) => of.get(text) ?? null),
      isComplete: vectors !== null,
    }
  }

  /** The newest tickets first. What was learned before is used until the end. */
  async function learnFrom(tickets: readonly LabelledTicket[], pause: Pause, signal: AbortSignal): Promise<Learned> {
    const started = performance.now()
    const vectors = await vectorsFor(tickets, signal)
    const examples = (label: 'category' | 'priority') =>
      tickets.flatMap((ticket, at): Example[] => {
        const is = ticket[label]
        return is === null ? [] : [{ text: ticket.text, label: is, vector: vectors[at] ?? null }]
      })
    // Where all vectors were at hand, nobody has asked for those of the descriptions yet.
    await vectorsOf([], signal)
    const asked = descriptions
    const nextCategory = await learn({ examples: examples('category'), descriptions: asked, precision, pause })
    const nextPriority = await learn({
      examples: examples('priority'),
      descriptions: NO_DESCRIPTIONS,
      precision,
      pause,
    })
    category = nextCategory
    priority = nextPriority
    return { category: learnedOf(category), priority: learnedOf(priority), took_ms: performance.now() - started }
  }

  async function vectorsFor(tickets: readonly LabelledTicket[], signal: AbortSignal): Promise<(Float32Array | null)[]> {
    const vectors = tickets.map(({ vector }) => (vector !== null && isOurs(vector) ? vector : null))
    const missing = tickets.flatMap(({ text }, at) =>
      embedder !== null && vectors[at] === null && understands(embedder, languageOf(text)) ? [at] : [],
    )
    for (let from = 0; from < missing.length; from += AT_A_TIME) {
      const some = missing.slice(from, from + AT_A_TIME)
      const found = await vectorsOf(
        some.map((at) => (tickets[at] as LabelledTicket).text),
        signal,
      )
      if (found === null) break
      some.forEach((at, index) => (vectors[at] = found[index] ?? null))
    }
    // Of two lengths only one can be the embedder's.
    const dims = embedder?.dims ?? vectors.find((vector) => vector !== null)?.length
    return vectors.map((vector) => (vector?.length === dims ? vector : null))
  }

  const isOurs = (vector: Float32Array): boolean =>
    embedder !== null && (embedder.dims === null || vector.length === embedder.dims)

  return {
    judge,
    embed,
    learn: learnFrom,
    /** Other categories, or other words for them, and how sure is sure. What was learned stays until it learns again. */
    configure(next: Pick<Settings, 'categories' | 'precision'>): void {
      ;({ categories, precision } = next)
      descriptions = describe(categories, null)
      if (category.learned === 0) category = unlearned(descriptions)
    },
    state: (): DeskState => ({
      embedder: embedder?.id ?? null,
      problem,
      category: learnedOf(category),
      priority: learnedOf(priority),
    }),
    /** All that was learned, for `load`; null before it learned anything. */
    save: (): Uint8Array | null =>
      category.learned + priority.learned === 0
        ? null
        : new Uint8Array(serialize({ version: VERSION, embedder: embedder?.id ?? null, category, priority })),
    /** Whether it could be used: not when another embedder or another version of the program has learned it. */
    load(bytes: Uint8Array): boolean {
      const saved = savedIn(bytes)
      if (saved?.version !== VERSION || saved.embedder !== (embedder?.id ?? null)) return false
      ;({ category, priority } = saved)
      return true
    },
  }
}

export type Desk = ReturnType<typeof createDesk>

type Saved = { version: number; embedder: string | null; category: Model; priority: Model }

/** Written by `save`, whose version says what is in it. */
function savedIn(bytes: Uint8Array): Saved | null {
  try {
    const saved: unknown = deserialize(bytes)
    return typeof saved === 'object' && saved !== null && 'version' in saved ? (saved as Saved) : null
  } catch {
    return null
  }
}

const learnedOf = ({ learned, classes, calibration }: Model): LearnedField => ({
  examples: learned,
  classes: classes.length,
  trials: calibration.trials,
  threshold: calibration.threshold,
})
