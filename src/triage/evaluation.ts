import { clip } from '../core/text.ts'
import { calibrationError } from './calibration.ts'
import type { Verdict } from './classifier.ts'
import { parseCsv } from './csv.ts'
import { random } from './random.ts'
import { shuffle } from './regression.ts'

export type Labelled = { text: string; label: string }

/** Texts with their category, from the columns `text` and `category` of a CSV. Throws a sentence when they are not there. */
export function labelledFrom(csv: string, file: string): Labelled[] {
  let rows: string[][]
  try {
    rows = parseCsv(csv)
  } catch (error) {
    throw new Error(`${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
  const [header = [], ...body] = rows
  const names = header.map((name) => name.trim().toLowerCase())
  const [text, category] = [names.indexOf('text'), names.indexOf('category')]
  if (text < 0 || category < 0)
    throw new Error(
      `${file} needs the columns text and category, with commas between; it has ${shownNames(header) || 'none'}`,
    )
  const found = body.flatMap((row) => {
    const label = row[category]?.trim() ?? ''
    const words = row[text]?.trim() ?? ''
    return label === '' || words === '' ? [] : [{ text: words, label }]
  })
  if (found.length === 0) throw new Error(`${file} has no row with a text and a category`)
  return found
}

/** Names as a line for people; in a file that is no CSV they may be anything. */
export const shownNames = (header: readonly string[]): string =>
  clip(header.join(', ').replaceAll(/\p{C}+/gu, ' '), SHOWN)
const SHOWN = 200

/** So many of each label, drawn by the seed; all of those that have fewer. */
export function sampleOf(all: readonly Labelled[], perClass: number, seed: number): Labelled[] {
  const next = random(seed)
  return [...Map.groupBy(all, ({ label }) => label).entries()]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .flatMap(([, own]) => {
      const order = Int32Array.from(own.keys())
      shuffle(order, next)
      return Array.from(order.subarray(0, perClass), (at) => own[at] as Labelled)
    })
}

export type Report = {
  tickets: number
  classes: number
  accuracy: number
  top3: number
  /** What was sure by the threshold that held-out training tickets gave, and how much of it was right. */
  coverage: number
  precision: number | null
  /** How much could be answered at that precision if the threshold were picked on these very tickets. */
  coverage_at_best: number
  calibration_error: number
}

/** Judges verdicts by what the tickets are. `precision` is the one that was promised. */
export function reportOf(verdicts: readonly (Verdict | null)[], truth: readonly string[], precision: number): Report {
  const judged = verdicts.map((verdict, at) => ({ verdict, isRight: verdict?.value === truth[at] }))
  const count = judged.length
  const sure = judged.filter(({ verdict }) => verdict?.isSure === true)
  const top3 = judged.filter(
    ({ verdict, isRight }, at) =>
      isRight || verdict?.others.slice(0, 2).some(({ value }) => value === truth[at]) === true,
  )
  const trials = judged.map(({ verdict, isRight }) => ({ probability: verdict?.confidence ?? 0, isRight }))
  return {
    tickets: count,
    classes: new Set(truth).size,
    accuracy: judged.filter(({ isRight }) => isRight).length / count,
    top3: top3.length / count,
    coverage: sure.length / count,
    precision: sure.length === 0 ? null : sure.filter(({ isRight }) => isRight).length / sure.length,
    coverage_at_best: bestCoverage(trials, precision),
    calibration_error: calibrationError(trials),
  }
}

function bestCoverage(trials: readonly { probability: number; isRight: boolean }[], precision: number): number {
  const sorted = trials.toSorted((one, other) => other.probability - one.probability)
  let [right, covered] = [0, 0]
  for (const [index, { isRight }] of sorted.entries()) {
    if (isRight) right += 1
    if (right / (index + 1) >= precision) covered = index + 1
  }
  return covered / trials.length
}

/** How often a value was right, of those tickets that were it, and of those that were thought to be. */
export type ValueRow = { value: string; tickets: number; guessed: number; right: number }

/** A row for each value that a ticket was or was thought to be, the most frequent first. */
export function valueRows(verdicts: readonly (Verdict | null)[], truth: readonly string[]): ValueRow[] {
  const rows = new Map<string, ValueRow>()
  const rowOf = (value: string) => {
    const row = rows.get(value) ?? { value, tickets: 0, guessed: 0, right: 0 }
    rows.set(value, row)
    return row
  }
  truth.forEach((value, at) => {
    const guess = verdicts[at]?.value
    rowOf(value).tickets += 1
    if (guess !== undefined) rowOf(guess).guessed += 1
    if (guess === value) rowOf(value).right += 1
  })
  return [...rows.values()].toSorted((one, other) => other.tickets - one.tickets || (one.value < other.value ? -1 : 1))
}
