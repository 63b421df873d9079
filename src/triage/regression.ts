import type { Sparse } from './features.ts'
import { random } from './random.ts'

/** One text as features: its grams, its vector where there is an embedder, and what descriptions say of each class. */
export type Row = { sparse: Sparse; vector: Float32Array | null; prior: Float32Array | null }

/** A multinomial regression. `grams` has a row of classes for each gram, `vectors` a row of dimensions for each class. */
export type Regression = {
  classes: number
  dims: number
  grams: Float32Array
  vectors: Float32Array
  bias: Float32Array
}

export type Training = { classes: number; dims: number; grams: number; epochs: number; seed: number }

/** Awaited after every few rows: whoever shares the thread does something else meanwhile, or throws to end it. */
export type Pause = (rows: number) => Promise<void> | undefined

const RATE = 0.5
/** Keeps first steps in proportion to what a gram weighs. From next to nothing, each first step is as large as any. */
const FIRST_SQUARE = 0.1
/** What a class is wrong by less than this is not worth its update: most classes of most rows, after the first epochs. */
const NEGLIGIBLE = 0.002
const ROWS_AT_A_TIME = 32

/**
 * AdaGrad, one row at a time. Grams and vectors are features of the one regression, so that it learns which of them to
 * believe; it starts from the prior and learns what that gets wrong.
 */
export async function train(
  rows: readonly Row[],
  labels: Int32Array,
  { classes, dims, grams, epochs, seed }: Training,
  pause: Pause,
): Promise<Regression> {
  const model = emptyRegression(classes, dims, grams)
  const squares = emptyRegression(classes, dims, grams)
  for (const part of [squares.grams, squares.vectors, squares.bias]) part.fill(FIRST_SQUARE)
  const scores = new Float32Array(classes)
  const active = new Int32Array(classes)
  const order = Int32Array.from(rows.keys())
  const next = random(seed)
  let done = 0
  for (let epoch = 0; epoch < epochs; epoch += 1) {
    shuffle(order, next)
    for (const at of order) {
      const row = rows[at] as Row
      score(model, row, scores)
      softmax(scores)
      const label = labels[at] as number
      scores[label] = (scores[label] as number) - 1
      step(model, squares, row, { gradients: scores, active: activeOf(scores, active) })
      done += 1
      if (done % ROWS_AT_A_TIME === 0) await pause(ROWS_AT_A_TIME)
    }
  }
  return model
}

export const emptyRegression = (classes: number, dims: number, grams: number): Regression => ({
  classes,
  dims,
  grams: new Float32Array(grams * classes),
  vectors: new Float32Array(classes * dims),
  bias: new Float32Array(classes),
})

function activeOf(gradients: Float32Array, active: Int32Array): Int32Array {
  let count = 0
  for (let c = 0; c < gradients.length; c += 1) {
    if (Math.abs(gradients[c] as number) <= NEGLIGIBLE) continue
    active[count] = c
    count += 1
  }
  return active.subarray(0, count)
}

type Fault = { gradients: Float32Array; active: Int32Array }

function step(model: Regression, squares: Regression, { sparse, vector }: Row, { gradients, active }: Fault): void {
  const { classes, dims } = model
  for (let k = 0; k < active.length; k += 1) {
    const c = active[k] as number
    const gradient = gradients[c] as number
    change(model.bias, squares.bias, c, gradient * 0.3)
    if (vector === null) continue
    const start = c * dims
    for (let d = 0; d < dims; d += 1)
      change(model.vectors, squares.vectors, start + d, gradient * (vector[d] as number))
  }
  const { places, weights } = sparse
  for (let at = 0; at < places.length; at += 1) {
    const x = weights[at] as number
    const start = (places[at] as number) * classes
    for (let k = 0; k < active.length; k += 1) {
      const c = active[k] as number
      change(model.grams, squares.grams, start + c, (gradients[c] as number) * x)
    }
  }
}

function change(weights: Float32Array, squares: Float32Array, at: number, gradient: number): void {
  const square = (squares[at] as number) + gradient * gradient
  squares[at] = square
  weights[at] = (weights[at] as number) - (RATE * gradient) / Math.sqrt(square)
}

/** What speaks for each class, as logits, into `out`. */
export function score(model: Regression, { sparse, vector, prior }: Row, out: Float32Array): void {
  const { classes, dims, grams, vectors, bias } = model
  for (let c = 0; c < classes; c += 1) {
    let sum = (bias[c] as number) + (prior === null ? 0 : (prior[c] as number))
    if (vector !== null) sum += product(vector, vectors, c * dims)
    out[c] = sum
  }
  const { places, weights } = sparse
  for (let at = 0; at < places.length; at += 1) {
    const x = weights[at] as number
    const start = (places[at] as number) * classes
    for (let c = 0; c < classes; c += 1) out[c] = (out[c] as number) + x * (grams[start + c] as number)
  }
}

/** Four sums at a time, none of which waits for another: half of all learning is spent here. */
function product(vector: Float32Array, weights: Float32Array, start: number): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0]
  const whole = vector.length & ~3
  for (let d = 0; d < whole; d += 4) {
    s0 += (vector[d] as number) * (weights[start + d] as number)
    s1 += (vector[d + 1] as number) * (weights[start + d + 1] as number)
    s2 += (vector[d + 2] as number) * (weights[start + d + 2] as number)
    s3 += (vector[d + 3] as number) * (weights[start + d + 3] as number)
  }
  for (let d = whole; d < vector.length; d += 1) s0 += (vector[d] as number) * (weights[start + d] as number)
  return s0 + s1 + s2 + s3
}

/** In place. */
export function softmax(scores: Float32Array): void {
  let max = -Infinity
  for (const one of scores) if (one > max) max = one
  let sum = 0
  for (let c = 0; c < scores.length; c += 1) {
    const one = Math.exp((scores[c] as number) - max)
    scores[c] = one
    sum += one
  }
  for (let c = 0; c < scores.length; c += 1) scores[c] = (scores[c] as number) / sum
}

export function shuffle(order: Int32Array, next: () => number): void {
  for (let at = order.length - 1; at > 0; at -= 1) {
    const other = Math.floor(next() * (at + 1))
    const kept = order[at] as number
    order[at] = order[other] as number
    order[other] = kept
  }
}
