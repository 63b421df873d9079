/** So many requests in so long a time, in a burst or evenly. */
export type Rate = { quota: number; windowMs: number }

/** Null is no limit. */
export const perMinute = (quota: number | null): Rate | null => (quota === null ? null : { quota, windowMs: 60_000 })

/**
 * The generic cell rate algorithm: one number a sender, the time at which its requests would all have been due had they
 * come evenly. Returns that time after this request, and how long the request would have to wait: 0 when it may pass.
 */
export function take(due: number | undefined, rate: Rate, now: number): { due: number; waitMs: number } {
  const from = dueFrom(due, rate, now)
  const next = from + rate.windowMs / rate.quota
  const waitMs = Math.max(0, next - now - rate.windowMs)
  return { due: waitMs > 0 ? from : next, waitMs }
}

/** The time at which all would be due, after so many more that passed elsewhere. */
export function taken(due: number | undefined, rate: Rate, now: number, count: number): number {
  const step = rate.windowMs / rate.quota
  return Math.min(dueFrom(due, rate, now) + count * step, now + rate.windowMs + step)
}

/** How many of the quota are used up. */
export const used = (due: number | undefined, rate: Rate, now: number): number =>
  ((dueFrom(due, rate, now) - now) / rate.windowMs) * rate.quota

function dueFrom(due: number | undefined, { quota, windowMs }: Rate, now: number): number {
  // What passed is due within the window and one request of it; later than that, the clock was put back.
  const latest = now + windowMs + windowMs / quota
  return due === undefined || due > latest ? now : Math.max(due, now)
}
