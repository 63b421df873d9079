export const HOUR_MS = 3_600_000

/** Names of one kind that are counted apart in an hour; senders choose some of them, so there is a bound. */
const NAMES = 200
const OTHER = '(other)'

/** How often each name came. A map: what a sender calls its category is no key of an object. */
export type Tally = Map<string, number>

/** What came in an hour: counts that add up, so that days and weeks are made of hours. */
export type Activity = {
  outcomes: Tally
  platforms: Tally
  /** By who sent it, and of these the refused ones. */
  sources: Tally
  refused: Tally
  /** Deliveries by how long they took, see `latencyStep`. */
  latency: Map<number, number>
  /** New tickets, and by category as it is now. */
  tickets: number
  categories: Tally
}

export const noActivity = (): Activity => ({
  outcomes: new Map(),
  platforms: new Map(),
  sources: new Map(),
  refused: new Map(),
  latency: new Map(),
  tickets: 0,
  categories: new Map(),
})

export function tally(into: Tally, name: string, count = 1): void {
  const known = into.get(name)
  const key = known !== undefined || into.size < NAMES ? name : OTHER
  into.set(key, (into.get(key) ?? 0) + count)
}

/** Steps of an eighth of a doubling: what is read back from them is within a twentieth of what it was. */
const STEPS = 8
export const latencyStep = (us: number): number => Math.round(Math.log2(Math.max(1, us)) * STEPS)
const latencyMs = (step: number): number => 2 ** (step / STEPS) / 1000

/** What this part of all deliveries (0.5: half of them) took at most, ms; null when there were none. */
export function percentile(latency: ReadonlyMap<number, number>, part: number): number | null {
  const steps = [...latency].toSorted(([a], [b]) => a - b)
  const total = steps.reduce((sum, [, count]) => sum + count, 0)
  let seen = 0
  for (const [step, count] of steps) {
    seen += count
    if (seen >= total * part) return Math.round(latencyMs(step) * 100) / 100
  }
  return null
}

export function addActivity(into: Activity, more: Activity): void {
  for (const kind of ['outcomes', 'platforms', 'sources', 'refused', 'categories'] as const) {
    for (const [name, count] of more[kind]) tally(into[kind], name, count)
  }
  for (const [step, count] of more.latency) into.latency.set(step, (into.latency.get(step) ?? 0) + count)
  into.tickets += more.tickets
}

/** Hours by when they begin, ms since the epoch. */
export type Hours = ReadonlyMap<number, Activity>

/** `from` is when an hour begins. */
export function activityBetween(hours: Hours, from: number, to: number): Activity {
  const sum = noActivity()
  for (let at = from; at < to; at += HOUR_MS) {
    const activity = hours.get(at)
    if (activity !== undefined) addActivity(sum, activity)
  }
  return sum
}

export const totalOf = (counts: Tally): number => [...counts.values()].reduce((sum, count) => sum + count, 0)
