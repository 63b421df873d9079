import { type Activity, activityBetween, HOUR_MS, type Hours, percentile, type Tally, totalOf } from './activity.ts'

const DAY_MS = 24 * HOUR_MS
const WEEK_MS = 7 * DAY_MS
/** Names of one kind that are listed, and changes. */
const LISTED = 20
const CHANGES = 8
/** How many times more than chance would do, and what part of what it was, a count has to differ by to be told. */
const SIGMAS = 3
const PART = 0.25
/** Latency is told when it is that many times another, of so many deliveries. */
const SLOWER = 1.5
const ENOUGH = 100

export type Step = 'hour' | 'day'

export type Compared = { name: string; now: number; before: number }

export type Change = Compared & { what: 'volume' | 'outcome' | 'platform' | 'category' | 'source' | 'latency' }

export type Insights = ReturnType<typeof insightsOf>

/** How far back `insightsOf` looks: as long again as it shows, to compare, and two weeks at least. */
export const spanMs = (days: number): number => Math.max(2 * days, 14) * DAY_MS

/** What came in the last `days`, by step, beside the time before; and what changed this week. Days are those of UTC. */
export function insightsOf(hours: Hours, { now, days, step }: { now: number; days: number; step: Step }) {
  const stepMs = step === 'hour' ? HOUR_MS : DAY_MS
  const to = (Math.floor(now / stepMs) + 1) * stepMs
  const from = to - days * DAY_MS
  const current = activityBetween(hours, from, to)
  const previous = activityBetween(hours, from - days * DAY_MS, from)
  return {
    from,
    to,
    totals: totals(current),
    before: totals(previous),
    series: Array.from({ length: Math.round((to - from) / stepMs) }, (_, index) => {
      const at = from + index * stepMs
      const activity = activityBetween(hours, at, at + stepMs)
      return { at, outcomes: activity.outcomes, tickets: activity.tickets, ...latencyOf(activity) }
    }),
    platforms: compared(current.platforms, previous.platforms),
    categories: compared(current.categories, previous.categories),
    sources: compared(current.sources, previous.sources).map(({ name, now: count, before }) => ({
      name,
      now: count,
      before,
      refused: current.refused.get(name) ?? 0,
    })),
    ...weekly(hours, now),
  }
}

const totals = (activity: Activity) => ({
  deliveries: totalOf(activity.outcomes),
  refused: activity.outcomes.get('rejected') ?? 0,
  tickets: activity.tickets,
  ...latencyOf(activity),
})

const latencyOf = ({ latency }: Activity) => ({ p50: percentile(latency, 0.5), p95: percentile(latency, 0.95) })

/** Most first. */
function compared(now: Tally, before: Tally): Compared[] {
  const names = new Set([...now.keys(), ...before.keys()])
  return [...names]
    .map((name) => ({ name, now: now.get(name) ?? 0, before: before.get(name) ?? 0 }))
    .toSorted((a, b) => b.now - a.now || b.before - a.before)
    .slice(0, LISTED)
}

/** What is unlike the week before, most unlike first. Without a week before there is nothing to be unlike. */
function weekly(hours: Hours, now: number): { changes: Change[]; hasWeekBefore: boolean } {
  const to = (Math.floor(now / HOUR_MS) + 1) * HOUR_MS
  const week = activityBetween(hours, to - WEEK_MS, to)
  const last = activityBetween(hours, to - 2 * WEEK_MS, to - WEEK_MS)
  const hasWeekBefore = totalOf(last.outcomes) > 0
  if (!hasWeekBefore) return { changes: [], hasWeekBefore }
  const counts: Change[] = [
    { what: 'volume', name: 'deliveries', now: totalOf(week.outcomes), before: totalOf(last.outcomes) },
    ...compared(week.outcomes, last.outcomes).map(as('outcome')),
    ...compared(week.platforms, last.platforms).map(as('platform')),
    ...compared(week.categories, last.categories).map(as('category')),
    ...compared(week.sources, last.sources).map(as('source')),
  ]
  const changes = counts
    .filter(isTold)
    .toSorted((a, b) => sigmas(b) - sigmas(a))
    .slice(0, CHANGES)
  return { changes: [...latencyChange(week, last), ...changes], hasWeekBefore }
}

const as =
  (what: Change['what']) =>
  ({ name, now, before }: Compared): Change => ({ what, name, now, before })

/** How unlike two counts are, in what chance alone does to them. */
const sigmas = ({ now, before }: Compared): number => Math.abs(now - before) / Math.sqrt(now + before)

const isTold = (change: Compared): boolean =>
  sigmas(change) >= SIGMAS && Math.abs(change.now - change.before) >= PART * change.before

function latencyChange(week: Activity, last: Activity): Change[] {
  const [now, before] = [percentile(week.latency, 0.95), percentile(last.latency, 0.95)]
  const isEnough = totalOf(week.outcomes) >= ENOUGH && totalOf(last.outcomes) >= ENOUGH
  if (!isEnough || now === null || before === null) return []
  const isOther = now >= before * SLOWER || before >= now * SLOWER
  return isOther ? [{ what: 'latency', name: 'p95', now, before }] : []
}
