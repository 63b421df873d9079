import { type Calibration, calibrate, confidenceOf, type Trial, UNPROVED } from './calibration.ts'
import { away, type Descriptions, fitOf, meanOf } from './descriptions.ts'
import { countInto, gramsOf, type Grams, sparseOf, type Vocabulary, vocabularyOf } from './features.ts'
import { random } from './random.ts'
import { emptyRegression, type Pause, type Regression, type Row, score, shuffle, softmax, train } from './regression.ts'

/** A text and what people said it is. `vector` is null where the embedder does not know its language, or there is none. */
export type Example = { text: string; label: string; vector: Float32Array | null }

type Guess = { value: string; confidence: number }
/** The best guess, whether it keeps the promised precision, and who comes after it. */
export type Verdict = Guess & { isSure: boolean; others: Guess[]; source: 'model' | 'description' | 'rules' }

/** All that was learned. Holds no text of any ticket. */
export type Model = {
  classes: string[]
  /** How many examples it has learned from. */
  learned: number
  vocabulary: Vocabulary
  regression: Regression
  /** What the vectors of all examples have in common. */
  common: Float32Array | null
  calibration: Calibration
  priorShare: number
}

export type Lesson = {
  /** The ones that matter most first: what is beyond the bounds is left out. */
  examples: readonly Example[]
  descriptions: Descriptions
  /** Of what is sure, so many are to be right: 0.95. */
  precision: number
  pause: Pause
}

const GRAM_LIMIT = 60_000
/** Weights at most: 64 MB while it learns. Many classes have to do with fewer grams. */
const WEIGHT_LIMIT = 8_000_000
/** Grams of all examples together: 90 MB while it learns. 17,000 tickets of 50 words, or fewer long ones. */
const GRAM_BUDGET = 6_000_000
const CLASS_LIMIT = 300
/** Grams times classes: what one pass over all examples costs, about four seconds. */
const WORK_LIMIT = 600_000_000
const FOLDS = 5
/** From here on one fold of held-out tickets says enough, and five would take minutes. */
const MANY = 3000
const HELD_OUT = 2000
const OTHERS = 3
const SEED = 1

/** Of the descriptions beside what was learned: all at first, half at 20 examples a class. */
const PRIOR_WEIGHT = 1.2
const priorShareOf = (examples: number, classes: number): number =>
  PRIOR_WEIGHT / (1 + examples / Math.max(1, classes) / 20)

/** Few rows are gone over more often. */
const epochsFor = (rows: number): number => Math.max(8, Math.min(15, Math.round(40_000 / Math.max(1, rows))))

/** What is known before anybody labelled anything: descriptions alone. */
export function unlearned(descriptions: Descriptions): Model {
  const classes = descriptions.categories.map(({ name }) => name)
  return {
    classes,
    learned: 0,
    vocabulary: { places: new Map(), rarity: new Float32Array() },
    regression: emptyRegression(classes.length, 0, 0),
    common: null,
    calibration: UNPROVED,
    priorShare: PRIOR_WEIGHT,
  }
}

/** Learns from all examples, after others were held out in turn to see how far its confidence is to be believed. */
export async function learn({ examples: all, descriptions, precision, pause }: Lesson): Promise<Model> {
  if (all.length === 0) return unlearned(descriptions)
  const classes = classesOf(all, descriptions)
  const known = new Set(classes)
  const examples: Example[] = []
  const grams: Grams[] = []
  const fits: Float32Array[] = []
  const fit = fitOn(classes, descriptions)
  let budget = Math.min(GRAM_BUDGET, WORK_LIMIT / classes.length)
  for (const example of all) {
    if (!known.has(example.label)) continue
    const own = gramsOf(example.text)
    budget -= own.ids.length
    if (budget < 0) break
    examples.push(example)
    grams.push(own)
    fits.push(fit(example.text, example.vector))
    if (grams.length % 16 === 0) await pause(0)
  }
  const lesson: Indexed = { examples, classes, grams, fits, pause }
  const everyone = Int32Array.from(examples.keys())
  const trials: Trial[] = []
  for (const held of foldsOf(examples.length)) {
    const heldOut = new Set(held)
    const model = await learnFrom(
      lesson,
      everyone.filter((at) => !heldOut.has(at)),
    )
    for (const at of held) {
      trials.push(trialOf(model, lesson, at))
      if (trials.length % 16 === 0) await pause(0)
    }
  }
  const model = await learnFrom(lesson, everyone)
  return { ...model, calibration: calibrate(trials, precision) }
}

/** Those that are described, in their order, then those of most examples. */
function classesOf(examples: readonly Example[], { categories }: Descriptions): string[] {
  const counts = new Map<string, number>()
  for (const { label } of examples) counts.set(label, (counts.get(label) ?? 0) + 1)
  const labels = [...counts].toSorted(([, one], [, other]) => other - one).map(([label]) => label)
  return [...new Set([...categories.map(({ name }) => name), ...labels])].slice(0, CLASS_LIMIT)
}

/** What the descriptions say of each of these classes; 0 of one that has none. */
function fitOn(classes: readonly string[], descriptions: Descriptions) {
  const names = new Map(descriptions.categories.map(({ name }, at) => [name, at]))
  const places = classes.map((name) => names.get(name))
  return (text: string, vector: Float32Array | null): Float32Array => {
    if (names.size === 0) return NOTHING
    const fit = fitOf(text, vector, descriptions)
    return Float32Array.from(places, (place) => (place === undefined ? 0 : (fit[place] as number)))
  }
}

const NOTHING = new Float32Array()

/** How many rows `learn` goes through, for a progress bar: what `pause` is told adds up to about this. */
export function rowsOf(examples: number): number {
  return [...foldsOf(examples).map((held) => examples - held.length), examples].reduce(
    (sum, rows) => sum + rows * epochsFor(rows),
    0,
  )
}

type Indexed = {
  examples: readonly Example[]
  classes: string[]
  grams: readonly Grams[]
  fits: readonly Float32Array[]
  pause: Pause
}

function foldsOf(count: number): Int32Array[] {
  const order = Int32Array.from({ length: count }, (_, at) => at)
  shuffle(order, random(SEED))
  if (count < 2) return []
  if (count > MANY) return [order.subarray(0, Math.min(HELD_OUT, Math.floor(count * 0.15)))]
  const folds = Math.min(FOLDS, count)
  return Array.from({ length: folds }, (_, fold) =>
    order.subarray(Math.floor((fold * count) / folds), Math.floor(((fold + 1) * count) / folds)),
  )
}

async function learnFrom({ examples, classes, grams, fits, pause }: Indexed, chosen: Int32Array): Promise<Model> {
  const counts = new Map<number, number>()
  for (const at of chosen) {
    countInto(counts, grams[at] as Grams)
    if (at % 16 === 0) await pause(0)
  }
  const vocabulary = vocabularyOf(
    counts,
    chosen.length,
    Math.min(GRAM_LIMIT, Math.floor(WEIGHT_LIMIT / classes.length)),
  )
  counts.clear()
  const vectors = Array.from(chosen, (at) => examples[at] as Example).flatMap(({ vector }) => vector ?? [])
  const frame: Frame = {
    common: vectors.length === 0 ? null : meanOf(vectors),
    vocabulary,
    priorShare: priorShareOf(chosen.length, classes.length),
  }
  const index = new Map(classes.map((name, at) => [name, at]))
  const rows: Row[] = []
  for (const at of chosen) {
    rows.push(rowOf(frame, grams[at] as Grams, (examples[at] as Example).vector, fits[at] as Float32Array))
    if (at % 16 === 0) await pause(0)
  }
  const labels = Int32Array.from(chosen, (at) => index.get((examples[at] as Example).label) as number)
  const training = {
    classes: classes.length,
    dims: frame.common?.length ?? 0,
    grams: vocabulary.places.size,
    epochs: epochsFor(rows.length),
    seed: SEED,
  }
  const regression = await train(rows, labels, training, pause)
  return { ...frame, classes, learned: rows.length, regression, calibration: UNPROVED }
}

type Frame = Pick<Model, 'common' | 'vocabulary' | 'priorShare'>

function rowOf(
  { common, vocabulary, priorShare }: Frame,
  grams: Grams,
  vector: Float32Array | null,
  fit: Float32Array,
): Row {
  const seen = common !== null && vector?.length === common.length ? away(vector, common) : null
  const prior = fit.length === 0 ? null : fit.map((one) => one * priorShare)
  return { sparse: sparseOf(grams, vocabulary), vector: seen, prior }
}

function trialOf(model: Model, { examples, grams, fits }: Indexed, at: number): Trial {
  const { label, vector } = examples[at] as Example
  const probabilities = probabilitiesOf(model, rowOf(model, grams[at] as Grams, vector, fits[at] as Float32Array))
  const best = bestOf(probabilities)
  return { probability: probabilities[best] as number, isRight: model.classes[best] === label }
}

function probabilitiesOf({ regression, classes }: Model, row: Row): Float32Array {
  const scores = new Float32Array(classes.length)
  score(regression, row, scores)
  softmax(scores)
  return scores
}

const bestOf = (scores: Float32Array): number =>
  scores.reduce((best, one, at) => (one > (scores[best] as number) ? at : best), 0)

/** What a text is, or null when nothing is known that speaks for any class. */
export function classify(
  model: Model,
  descriptions: Descriptions,
  text: string,
  vector: Float32Array | null,
): Verdict | null {
  const { classes, calibration, learned } = model
  if (classes.length === 0) return null
  const fit = fitOn(classes, descriptions)(text, vector)
  const row = rowOf(model, gramsOf(text), vector, fit)
  if (learned === 0 && fit.every((one) => one === 0)) return null
  const probabilities = probabilitiesOf(model, row)
  const order = [...probabilities.keys()].toSorted(
    (one, other) => (probabilities[other] as number) - (probabilities[one] as number),
  )
  const [best = 0, ...rest] = order
  const top = probabilities[best] as number
  const confidence = confidenceOf(top, calibration)
  // What is left of certainty is shared as the regression shares it.
  const left = top === 1 ? 0 : (1 - confidence) / (1 - top)
  const others = rest.slice(0, OTHERS).map((at): Guess => ({
    value: classes[at] as string,
    confidence: Math.min(confidence, left * (probabilities[at] as number)),
  }))
  const isSure = calibration.threshold !== null && confidence >= calibration.threshold - 1e-12
  return { value: classes[best] as string, confidence, isSure, others, source: learned === 0 ? 'description' : 'model' }
}
