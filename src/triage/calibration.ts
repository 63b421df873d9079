/** What a held-out ticket was thought to be: the probability of the best class, and whether it was right. */
export type Trial = { probability: number; isRight: boolean }

/**
 * How often a classifier of this probability is right: sigmoid(slope · log-odds + offset). At or above `threshold` its
 * answers keep the promised precision; null where too few trials were made to promise anything.
 */
export type Calibration = { slope: number; offset: number; threshold: number | null; trials: number }

/** Before there are trials: regressions on few tickets believe too much, and nothing is promised. */
export const UNPROVED: Calibration = { slope: 0.6, offset: 0, threshold: null, trials: 0 }

/** Fewer say next to nothing about a curve. */
const LEAST_TRIALS = 30
/** Nothing is promised on fewer: on 40 and 80, what was promised at 95 % reached 91 and 90, on 104 once 91. */
export const LEAST_PROMISE = 150

const logOdds = (probability: number): number => {
  const p = Math.min(1 - 1e-6, Math.max(1e-6, probability))
  return Math.log(p / (1 - p))
}

export const confidenceOf = (probability: number, { slope, offset }: Calibration): number =>
  1 / (1 + Math.exp(-(slope * logOdds(probability) + offset)))

/** Platt's scaling on trials that the classifier had not learned from, and the threshold of this precision. */
export function calibrate(trials: readonly Trial[], precision: number): Calibration {
  if (trials.length < LEAST_TRIALS) return { ...UNPROVED, trials: trials.length }
  const curve = fitCurve(trials)
  const bound = probabilityBound(trials, precision)
  const calibration = { ...curve, threshold: null, trials: trials.length }
  return { ...calibration, threshold: bound === null ? null : confidenceOf(bound, calibration) }
}

function fitCurve(trials: readonly Trial[]): { slope: number; offset: number } {
  const right = trials.filter(({ isRight }) => isRight).length
  // Platt's targets: no outcome is certain, however many trials had it.
  const [yes, no] = [(right + 1) / (right + 2), 1 / (trials.length - right + 2)]
  let [slope, offset] = [1, 0]
  for (let round = 0; round < 50; round += 1) {
    let [g0, g1, h00, h01, h11] = [1e-3 * (slope - 1), 0, 1e-3, 0, 1e-3]
    for (const { probability, isRight } of trials) {
      const x = logOdds(probability)
      const p = 1 / (1 + Math.exp(-(slope * x + offset)))
      const fault = p - (isRight ? yes : no)
      const weight = Math.max(1e-6, p * (1 - p))
      g0 += fault * x
      g1 += fault
      h00 += weight * x * x
      h01 += weight * x
      h11 += weight
    }
    const determinant = h00 * h11 - h01 * h01
    if (Math.abs(determinant) < 1e-12) break
    const [step0, step1] = [(h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant]
    // At most one a round: far from its end the curve is no parabola.
    slope -= Math.max(-1, Math.min(1, step0))
    offset -= Math.max(-1, Math.min(1, step1))
    if (Math.abs(step0) + Math.abs(step1) < 1e-6) break
  }
  // More probable must not come out as less sure, whatever a handful of trials say.
  return { slope: Math.max(0.05, slope), offset }
}

/**
 * The lowest probability above which answers are precise enough, by the lower end of what the trials leave open
 * (Wilson's interval, one standard deviation): the best of many candidates was picked by looking, and what is unseen
 * does a little worse. With no error it takes 19 sure answers for 95 %, with many trials it costs half a point.
 */
function probabilityBound(trials: readonly Trial[], precision: number): number | null {
  if (trials.length < LEAST_PROMISE) return null
  const sorted = trials.toSorted((one, other) => other.probability - one.probability)
  let right = 0
  let bound: number | null = null
  for (const [index, { probability, isRight }] of sorted.entries()) {
    if (isRight) right += 1
    const isTie = sorted[index + 1]?.probability === probability
    if (!isTie && lowerBound(right, index + 1) >= precision) bound = probability
  }
  // Where every trial may be believed none says where belief ends: what is more likely than all else together may be.
  return bound === sorted.at(-1)?.probability ? Math.min(bound, 0.5) : bound
}

function lowerBound(right: number, count: number): number {
  const share = right / count
  return (share + 0.5 / count - Math.sqrt((share * (1 - share)) / count + 0.25 / count ** 2)) / (1 + 1 / count)
}

/** How far confidence is from what came true, on average over ten equal bins (expected calibration error). */
export function calibrationError(trials: readonly Trial[]): number {
  const bins = Array.from({ length: 10 }, () => ({ count: 0, sum: 0, right: 0 }))
  for (const { probability, isRight } of trials) {
    const bin = bins[Math.min(9, Math.floor(probability * 10))]
    if (bin === undefined) continue
    bin.count += 1
    bin.sum += probability
    if (isRight) bin.right += 1
  }
  return (
    bins.reduce((sum, { sum: believed, right }) => sum + Math.abs(believed - right), 0) / Math.max(1, trials.length)
  )
}
