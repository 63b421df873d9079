import { AppError } from '../core/errors.ts'
import type { TriageField } from '../core/decision.ts'
import type { Verdict } from './classifier.ts'
import type { Category } from './descriptions.ts'
import { createDesk, type LabelledTicket } from './desk.ts'
import type { Embedder } from './embedder.ts'
import { type Report, reportOf, type ValueRow, valueRows } from './evaluation.ts'
import type { Pause } from './regression.ts'

/** What the engine learns from at most, see engine.ts. */
const LEARN_LIMIT = 20_000

/** A ticket, what it is, and when that was said (ms). `vector` is the embedder's, where it is at hand. */
export type History = { text: string; value: string; saidAt: number; vector: Float32Array | null }

type WeekRow = {
  /** Its Monday, as YYYY-MM-DD. */
  week: string
  tickets: number
  right: number
  /** What would have been set, and how much of that rightly. */
  sure: number
  sureRight: number
}

export type Backtest = Report & {
  learned: number
  /** From how many held-out tickets the promise comes. */
  trials: number
  values: ValueRow[]
  weeks: WeekRow[]
  /** What it had to do without, in a sentence. */
  problem: string | null
}

/** Less says next to nothing about what comes. */
const LEAST = { learned: 30, tried: 10 }

/** The moment (ms) after which this share of all labels was said, or at which the first of them was. */
export function splitFor(history: readonly History[], share: number): number {
  const times = history.map(({ saidAt }) => saidAt).toSorted((one, other) => one - other)
  return times[Math.floor(times.length * (1 - share))] ?? 0
}

/** What was said before a moment, the newest first, and what was said then or later. */
function splitAt(history: readonly History[], at: number): { before: History[]; after: History[] } {
  const sorted = history.toSorted((one, other) => other.saidAt - one.saidAt)
  return { before: sorted.filter(({ saidAt }) => saidAt < at), after: sorted.filter(({ saidAt }) => saidAt >= at) }
}

/**
 * Learns from what was said before `split` (ms), as the engine does, and judges the tickets of which it was said later.
 * Throws AppError `conflict` where either is too little.
 */
export async function backtest(options: {
  history: readonly History[]
  split: number
  field: TriageField
  embedder: Embedder | null
  categories: readonly Category[]
  precision: number
  /** As `train` has it, while it learns; `onTried` after each ticket that was judged. */
  pause: Pause
  onTried: (tried: number, of: number) => void
}): Promise<Backtest> {
  const { history, split, field, embedder, categories, precision, pause, onTried } = options
  const { before, after } = splitAt(history, split)
  if (before.length < LEAST.learned || after.length < LEAST.tried) throw tooLittle(before.length, after.length, field)
  const desk = createDesk({
    embedder: embedder && remembering(embedder, history),
    categories,
    precision,
    now: Date.now,
  })
  const lesson = before.slice(0, LEARN_LIMIT).map(({ text, value, vector }): LabelledTicket => ({
    text,
    category: field === 'category' ? value : null,
    priority: field === 'priority' ? value : null,
    vector,
  }))
  const learned = (await desk.learn(lesson, pause, NEVER))[field]
  const verdicts: (Verdict | null)[] = []
  for (const { text } of after) {
    verdicts.push((await desk.judge(text, NEVER))[field])
    onTried(verdicts.length, after.length)
  }
  const truth = after.map(({ value }) => value)
  return {
    learned: learned.examples,
    trials: learned.trials,
    ...reportOf(verdicts, truth, precision),
    values: valueRows(verdicts, truth),
    weeks: weekRows(verdicts, after),
    problem: desk.state().problem,
  }
}

const NEVER = new AbortController().signal

function tooLittle(learned: number, tried: number, field: TriageField): AppError {
  return new AppError(
    'conflict',
    `Too little history: of ${learned + tried} tickets somebody said the ${field}, ${learned} before the split and ${tried} ` +
      `after it. At least ${LEAST.learned} are needed before and ${LEAST.tried} after; --since or --last moves the split`,
  )
}

/** An embedder that is not asked for what is at hand. */
function remembering(embedder: Embedder, history: readonly History[]): Embedder {
  const known = new Map(history.flatMap(({ text, vector }) => (vector === null ? [] : [[text, vector] as const])))
  return {
    id: embedder.id,
    languages: embedder.languages,
    get dims() {
      return embedder.dims
    },
    async embed(texts, signal) {
      const missing = texts.filter((text) => !known.has(text))
      const made = missing.length === 0 ? [] : await embedder.embed(missing, signal)
      // One a text, in order, as embedders promise.
      return texts.map((text) => known.get(text) ?? (made.shift() as Float32Array))
    },
  }
}

function weekRows(verdicts: readonly (Verdict | null)[], tickets: readonly History[]): WeekRow[] {
  const weeks = new Map<string, WeekRow>()
  tickets.forEach(({ value, saidAt }, at) => {
    const week = mondayOf(saidAt)
    const row = weeks.get(week) ?? { week, tickets: 0, right: 0, sure: 0, sureRight: 0 }
    const [isRight, isSure] = [verdicts[at]?.value === value, verdicts[at]?.isSure === true]
    weeks.set(week, {
      week,
      tickets: row.tickets + 1,
      right: row.right + Number(isRight),
      sure: row.sure + Number(isSure),
      sureRight: row.sureRight + Number(isSure && isRight),
    })
  })
  return [...weeks.values()].toSorted((one, other) => (one.week < other.week ? -1 : 1))
}

const DAY_MS = 86_400_000

/** Of UTC; the first day of all was a Thursday. */
function mondayOf(ms: number): string {
  const day = Math.floor(ms / DAY_MS)
  return new Date((day - ((day + 3) % 7)) * DAY_MS).toISOString().slice(0, 10)
}
