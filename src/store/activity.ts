import { type Activity, addActivity, HOUR_MS, type Hours, latencyStep, noActivity, tally } from '../core/activity.ts'

export type Table = 'deliveries' | 'tickets'

/** The columns of COUNTED in their order. */
type CountedRow = readonly unknown[]

export const COUNTED = {
  deliveries: 'received_at, outcome, platform, source, duration_us',
  tickets: 'created_at, category',
} as const satisfies Record<Table, string>

/** Rows that are counted in one go: what else is asked meanwhile waits for it, some 30 ms. */
const CHUNK = 4000
/** A ticket's category may be another by now: what was counted of them counts this long. */
const TICKETS_STAND_MS = 15 * 60_000
/** Hours that are remembered: half a year, as much as anybody may ask for. */
const HOURS = 184 * 24

/** Rows, with the columns of COUNTED in their order, by the hours in which they came. */
export function hoursOf(table: Table, rows: Iterable<CountedRow>): Map<number, Activity> {
  const hours = new Map<number, Activity>()
  const note = table === 'deliveries' ? noteDelivery : noteTicket
  for (const values of rows) {
    const at = Math.floor(Number(values[0]) / HOUR_MS) * HOUR_MS
    let hour = hours.get(at)
    if (hour === undefined) hours.set(at, (hour = noActivity()))
    note(hour, values)
  }
  return hours
}

function noteDelivery(hour: Activity, [, outcome, platform, source, durationUs]: CountedRow): void {
  tally(hour.outcomes, String(outcome))
  if (platform !== null) tally(hour.platforms, String(platform))
  tally(hour.sources, String(source))
  if (outcome === 'rejected') tally(hour.refused, String(source))
  const step = latencyStep(Number(durationUs))
  hour.latency.set(step, (hour.latency.get(step) ?? 0) + 1)
}

function noteTicket(hour: Activity, [, category]: CountedRow): void {
  hour.tickets += 1
  tally(hour.categories, String(category))
}

type Queries = {
  activityRange: (table: Table, from: number) => Promise<{ first: number; last: number }>
  activityOf: (table: Table, first: number, last: number) => Promise<Map<number, Activity>>
  /** Rows after `last` that are too young to be remembered as counted. */
  recentOf?: (table: Table, last: number) => Promise<Map<number, Activity>>
}

/** Rows counted so far: those after `first` up to `last`, in one piece. */
type Counted = { hours: Map<number, Activity>; first: number; last: number; since: number }

/**
 * Counts what came, hour by hour, and remembers it: each row is read once. The newest are counted first, as many as
 * there is time for; the call after goes on from there. What retention takes meanwhile stays counted.
 */
export function createActivity(reader: Queries) {
  const counted: Record<Table, Counted | null> = { deliveries: null, tickets: null }
  let running: Promise<unknown> = Promise.resolve()

  async function add(to: Counted, table: Table, first: number, last: number): Promise<void> {
    for (const [at, more] of await reader.activityOf(table, first, last)) {
      const hour = to.hours.get(at)
      if (hour === undefined) to.hours.set(at, more)
      else addActivity(hour, more)
    }
    to.first = Math.min(to.first, first)
    to.last = Math.max(to.last, last)
  }

  /** Whether all rows since `from` are counted. */
  async function count(table: Table, from: number, deadline: number): Promise<boolean> {
    const range = await reader.activityRange(table, from)
    const isOutworn = table === 'tickets' && performance.now() - (counted.tickets?.since ?? 0) > TICKETS_STAND_MS
    // Rows that were counted and are not there were never committed: another store, or an older one.
    const isLost = (counted[table]?.last ?? 0) > range.last
    if (counted[table] === null || isOutworn || isLost) {
      counted[table] = { hours: new Map(), first: range.last, last: range.last, since: performance.now() }
    }
    const to = counted[table]
    const isInTime = () => performance.now() < deadline
    while (to.last < range.last && isInTime()) {
      await add(to, table, to.last, Math.min(range.last, to.last + CHUNK))
    }
    while (to.last >= range.last && to.first > range.first && isInTime()) {
      await add(to, table, Math.max(range.first, to.first - CHUNK), to.first)
    }
    forget(to.hours)
    return to.last >= range.last && to.first <= range.first
  }

  async function run(from: number, patienceMs: number): Promise<{ hours: Hours; isWhole: boolean }> {
    const start = performance.now()
    const areDeliveries = await count('deliveries', from, start + patienceMs / 2)
    const areTickets = await count('tickets', from, start + patienceMs)
    const hours = new Map<number, Activity>()
    const parts = [counted.deliveries, counted.tickets].flatMap((part) => part?.hours ?? [])
    for (const table of ['deliveries', 'tickets'] as const) {
      const recent = await reader.recentOf?.(table, counted[table]?.last ?? 0)
      if (recent !== undefined) parts.push(recent)
    }
    for (const [at, activity] of parts.flatMap((part) => Array.from(part))) {
      const sum = hours.get(at) ?? noActivity()
      addActivity(sum, activity)
      hours.set(at, sum)
    }
    return { hours, isWhole: areDeliveries && areTickets }
  }

  /** What came since `from` (ms), counted for at most `patienceMs`. One at a time: two would count the same rows. */
  return (from: number, patienceMs: number): Promise<{ hours: Hours; isWhole: boolean }> => {
    const result = running.then(() => run(from, patienceMs))
    running = result.catch(() => {})
    return result
  }
}

function forget(hours: Map<number, Activity>): void {
  if (hours.size <= HOURS) return
  const oldest = [...hours.keys()].toSorted((a, b) => a - b).slice(0, hours.size - HOURS)
  for (const at of oldest) hours.delete(at)
}
