/** Why a request that would be work is refused before its body is read. */
export const SHED_REASONS = ['event_loop', 'queue', 'disk', 'memory'] as const
export type ShedReason = (typeof SHED_REASONS)[number]

/** What was too much stays too much until it is this part of its bound, so that refusing does not flap. */
const RELIEF = 0.8

/** Whether something presses, by its part of its bound (1 is at the bound) and whether it pressed a moment ago. */
export function presses(before: boolean, part: number): boolean {
  return part > 1 || (before && part > RELIEF)
}

/** One turn of a timer: how long it took in all, and how much of that it was late. Milliseconds. */
export type Lap = { tookMs: number; lateMs: number }

/** The newest of these laps that fill the window; the newest is last. */
export function lapsWithin(laps: readonly Lap[], windowMs: number): Lap[] {
  let filled = 0
  let from = laps.length
  while (from > 0 && filled < windowMs) {
    from -= 1
    filled += laps[from]?.tookMs ?? 0
  }
  return laps.slice(from)
}

/**
 * How late the timer was, weighed by time: what somebody who came at any moment of it would have met. One lap of five
 * seconds among fifty short ones is five seconds of standing still, and not a fiftieth of it.
 */
export function meanDelay(laps: readonly Lap[]): number {
  const took = laps.reduce((sum, lap) => sum + lap.tookMs, 0)
  return took === 0 ? 0 : laps.reduce((sum, lap) => sum + lap.tookMs * lap.lateMs, 0) / took
}
