import { describe, expect, test } from 'vitest'

import { newRhythm, observe, Rhythm, unwatched, usualGap } from '../../src/core/silence.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
/** A Monday, midnight UTC. */
const MONDAY = Date.UTC(2026, 10, 2)

/** Numbers between 0 and 1, the same in every run (mulberry32). */
function randoms(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

type Sender = (now: number) => number

/** Looks at a source every minute, on a clock of its own; `perMinute` is how many it sends on average just then. */
function watch(sender: Sender, { weeks, until = weeks * 7 * DAY, from = newRhythm(MONDAY), seed = 1 }: Watch) {
  const random = randoms(seed)
  let rhythm = from
  let heard: number | null = null
  const alarms: number[] = []
  for (let now = MONDAY + MINUTE; now <= MONDAY + until; now += MINUTE) {
    if (random() < 1 - Math.exp(-sender(now - MONDAY))) heard = now - Math.floor(random() * MINUTE)
    const before = rhythm.silent
    rhythm = observe(rhythm, heard, now)
    if (before === null && rhythm.silent !== null) alarms.push(now - MONDAY)
  }
  return { rhythm, alarms, heard }
}
type Watch = { weeks: number; until?: number; from?: Rhythm; seed?: number }

const steady =
  (perMinute: number): Sender =>
  () =>
    perMinute
/** On weekdays from nine to five. */
const office =
  (perMinute: number): Sender =>
  (since) => {
    const [day, hour] = [Math.floor(since / DAY) % 7, Math.floor(since / HOUR) % 24]
    return day < 5 && hour >= 9 && hour < 17 ? perMinute : 0
  }
const stopping =
  (sender: Sender, at: number): Sender =>
  (since) =>
    since >= at ? 0 : sender(since)

const TUESDAY_IN_WEEK_4 = 3 * 7 * DAY + DAY

describe('a source that goes on as ever is not called silent', () => {
  test.each([
    ['many a minute', steady(20)],
    ['one in ten minutes', steady(0.1)],
    ['one in three hours', steady(1 / 180)],
    ['office hours', office(2)],
    ['office hours, now and then', office(0.1)],
  ])('%s, thirty weeks of it', (_name, sender) => {
    expect([1, 2, 3].flatMap((seed) => watch(sender, { weeks: 10, seed }).alarms)).toEqual([])
  })
})

const stops = [
  { name: 'many a minute', sender: steady(20), at: TUESDAY_IN_WEEK_4 + 11 * HOUR, within: 12 * MINUTE },
  { name: 'one in ten minutes', sender: steady(0.1), at: TUESDAY_IN_WEEK_4 + 11 * HOUR, within: 5 * HOUR },
  { name: 'office hours, at noon', sender: office(2), at: TUESDAY_IN_WEEK_4 + 12 * HOUR, within: 30 * MINUTE },
  // Nobody can know before the morning; the first hours of it are forgiven.
  { name: 'office hours, at night', sender: office(2), at: TUESDAY_IN_WEEK_4 + 20 * HOUR, within: 16 * HOUR },
]

test.each(stops)('a source that stops is called silent in time: $name', ({ sender, at, within }) => {
  const { alarms, rhythm } = watch(stopping(sender, at), { weeks: 5 })
  const alarm = alarms.find((time) => time >= at) ?? Infinity
  expect(alarm - at).toBeLessThanOrEqual(within)
  expect(alarm - at).toBeGreaterThan(8 * MINUTE)
  expect(rhythm.silent).toBe(MONDAY + alarm)
})

test('it is not silent any more as soon as it is heard', () => {
  const at = TUESDAY_IN_WEEK_4
  const { rhythm, heard } = watch(stopping(steady(5), at), { weeks: 0, until: at + HOUR })
  expect(rhythm.silent).not.toBeNull()
  const now = rhythm.at + MINUTE
  expect(observe(rhythm, heard, now).silent).toBe(rhythm.silent)
  expect(observe(rhythm, now - 1, now)).toMatchObject({ silent: null, heard: now - 1 })
})

test('an outage does not become the custom', () => {
  const outage = (since: number) => since >= 21 * DAY && since < 21 * DAY + 6 * HOUR
  const { rhythm } = watch((since) => (outage(since) ? 0 : 5), { weeks: 4 })
  // An hour in which it was away, a week later: ten minutes were allowed then, not six hours.
  expect(usualGap(rhythm, MONDAY + 28 * DAY + 3 * HOUR)).toBeLessThanOrEqual(15 * MINUTE)
})

test('who was never heard is never silent, and in its first week a source has three days', () => {
  expect(watch(steady(0), { weeks: 2 }).alarms).toEqual([])
  const { alarms } = watch(stopping(steady(1), DAY), { weeks: 1 })
  expect(alarms).toHaveLength(1)
  expect(((alarms[0] ?? 0) - DAY) / HOUR).toBeCloseTo(72, 0)
})

test('the time that nobody watched is no silence, and no rhythm', () => {
  const { rhythm, heard } = watch(steady(5), { weeks: 3 })
  // As after a restart: what is remembered went through the store.
  const stored = Rhythm.parse(JSON.parse(JSON.stringify(rhythm)))
  expect(stored).toEqual(rhythm)
  const later = rhythm.at + 5 * HOUR
  expect(observe(stored, heard, later).silent).toBeNull()
  const back = observe(observe(stored, heard, later), later + 1, later + MINUTE)
  expect(back.gaps).toEqual(observe(stored, heard, later).gaps.map((gap, index) => back.gaps[index] ?? gap))
  expect(usualGap(back, later + 7 * DAY)).toBeLessThanOrEqual(10 * MINUTE)
  // A source that is switched off takes nothing, and is not missed.
  expect(unwatched({ ...stored, silent: later }, later).silent).toBeNull()
})

test('a clock that is put back makes nobody silent', () => {
  const { rhythm } = watch(steady(5), { weeks: 3 })
  const put = observe(rhythm, rhythm.heard, rhythm.at - 2 * HOUR)
  expect(put.silent).toBeNull()
  expect(observe(put, put.heard, put.at + MINUTE).silent).toBeNull()
})
