import { z } from 'zod'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const WEEK_HOURS = 168
/** How many weeks an hour of the week is remembered: the one that runs, which is not judged by itself, and three before. */
const WEEKS = 4

/** Quiet for less is never silence. */
const LEAST_MS = 10 * MINUTE_MS
/** Which hours count for one: rhythms shift, and clocks by an hour twice a year. */
const AROUND = [-2, -1, 0, 1, 2]
/** How many times its usual gap a source may be quiet. */
const FACTOR = 3
/** How long a source is learnt: a week, and the Monday after it, which ends its first weekend. */
const LEARNT_MS = 8 * 24 * HOUR_MS
/** How long it may be quiet while it is learnt, and at an hour of which nothing is known. */
const UNKNOWN_MS = 72 * HOUR_MS
/** Who looks less often than this was not looking: what happened meanwhile is nobody's rhythm. */
const UNWATCHED_MS = 5 * MINUTE_MS

/** Below zero: nothing is known. */
const UNKNOWN = -1

/** What is remembered of when a source is heard. Times in ms since the epoch, gaps in seconds. */
export const Rhythm = z.object({
  /** When it was heard first, and last. */
  first: z.number().nullable(),
  heard: z.number().nullable(),
  /** Since when it has been watched without a break. */
  watched: z.number(),
  /** When it was looked at last. */
  at: z.number(),
  /** Since when it counts as silent; null while it does not. */
  silent: z.number().nullable(),
  /** The longest gap that reached into each hour of the week, one after the other for each of the weeks. */
  gaps: z.array(z.number()).length(WEEK_HOURS * WEEKS),
  /** The number of the week in which each hour was written last. */
  weeks: z.array(z.number()).length(WEEK_HOURS),
})
export type Rhythm = z.output<typeof Rhythm>

export const newRhythm = (now: number): Rhythm => ({
  first: null,
  heard: null,
  watched: now,
  at: now,
  silent: null,
  gaps: Array.from({ length: WEEK_HOURS * WEEKS }, () => UNKNOWN),
  weeks: Array.from({ length: WEEK_HOURS }, () => UNKNOWN),
})

/**
 * A source is silent when it has been quiet for ten minutes and for three times the longest gap that it made at this
 * hour of the week, or two hours before or after, in the three weeks before. Nights and weekends are so part of its
 * rhythm, and whoever stops at night is missed when the morning's deliveries should come. Looked at every minute:
 * `heard` is its newest delivery, null where there is none.
 */
export function observe(rhythm: Rhythm, heard: number | null, now: number): Rhythm {
  const isWatched = now >= rhythm.at && now - rhythm.at <= UNWATCHED_MS
  const watched = isWatched ? rhythm.watched : now
  // The clock may have been put back since.
  const last = heard === null ? rhythm.heard : Math.min(Math.max(heard, rhythm.heard ?? 0), now)
  const next: Rhythm = { ...rhythm, first: rhythm.first ?? last, heard: last, watched, at: now }
  if (last === null) return next
  if (rhythm.heard !== null && last > rhythm.heard) {
    if (isWatched) remember(next, Math.max(rhythm.heard, watched), last)
    return { ...next, silent: null }
  }
  const quiet = now - Math.max(last, watched)
  const isSilent = quiet > allowed(next, now)
  return { ...next, silent: isSilent ? (rhythm.silent ?? now) : rhythm.silent }
}

/** A source that takes nothing cannot be missed. */
export const unwatched = (rhythm: Rhythm, now: number): Rhythm => ({ ...rhythm, watched: now, at: now, silent: null })

/** The longest usual gap at this time, in ms; null where nothing is known of it. */
export function usualGap({ first, gaps, weeks }: Rhythm, now: number): number | null {
  if (first === null || now - first < LEARNT_MS) return null
  const hour = Math.floor(now / HOUR_MS)
  const known = (at: number) => {
    const [slot, week] = [at % WEEK_HOURS, Math.floor(at / WEEK_HOURS)]
    const isThisWeeks = weeks[slot] === week
    const ofSlot = gaps.slice(slot * WEEKS, (slot + 1) * WEEKS)
    return Math.max(...ofSlot.filter((_gap, index) => !(isThisWeeks && index === week % WEEKS)), UNKNOWN)
  }
  if (known(hour) === UNKNOWN) return null
  return Math.max(...AROUND.map((offset) => known(hour + offset))) * 1000
}

function allowed(rhythm: Rhythm, now: number): number {
  const usual = usualGap(rhythm, now)
  return usual === null ? UNKNOWN_MS : Math.max(LEAST_MS, FACTOR * usual)
}

/**
 * A gap that ended counts in each hour that it reached into. One that was a silence counts as what was allowed then:
 * an outage does not become the custom, and who does send less often from now on is understood after a while.
 */
function remember(rhythm: Rhythm, from: number, to: number): void {
  rhythm.gaps = [...rhythm.gaps]
  rhythm.weeks = [...rhythm.weeks]
  const last = Math.floor(to / HOUR_MS)
  for (let hour = Math.max(Math.floor(from / HOUR_MS), last - WEEK_HOURS + 1); hour <= last; hour += 1) {
    const gap = Math.round(Math.min(to - from, allowed(rhythm, Math.min(to, (hour + 1) * HOUR_MS - 1))) / 1000)
    const [slot, week] = [hour % WEEK_HOURS, Math.floor(hour / WEEK_HOURS)]
    const place = slot * WEEKS + (week % WEEKS)
    const known = rhythm.weeks[slot] === week ? (rhythm.gaps[place] ?? UNKNOWN) : UNKNOWN
    rhythm.gaps[place] = Math.max(known, gap)
    rhythm.weeks[slot] = week
  }
}
