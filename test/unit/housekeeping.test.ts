import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import type { CronEntry } from '../../src/core/jobs.ts'
import { housekeeping } from '../../src/work/housekeeping.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const START = Date.parse('2026-11-24T00:00:00Z')

let entry: CronEntry
let pruned: number[]
let leaps: number[]
let swept: number[]
beforeEach(() => {
  vi.useFakeTimers({ now: START, toFake: ['Date', 'performance'] })
  pruned = []
  leaps = []
  swept = []
  entry = housekeeping({
    store: {
      prune: async (before) => pruned.push(before) && 0,
      sessionStore: { sweepSessions: async (now) => swept.push(now) },
    },
    retentionDays: 30,
    onPruned: () => {},
    onLeap: (ms) => leaps.push(ms),
  })
  return run()
})
afterEach(() => vi.useRealTimers())

const run = () => entry.run(new AbortController().signal)

/** Runs it every hour, as it asks to be. */
async function pass(hours: number): Promise<void> {
  for (let hour = 0; hour < hours; hour += 1) {
    vi.advanceTimersByTime(entry.everyMs)
    await run()
  }
}

test('forgets each hour what is past the retention', async () => {
  await pass(2)
  expect(pruned).toEqual([0, 1, 2].map((hour) => START + hour * HOUR - 30 * DAY))
  expect(swept).toEqual([0, 1, 2].map((hour) => START + hour * HOUR))
})

test('a clock put ten years ahead forgets nothing for a day, and then goes on', async () => {
  vi.setSystemTime(START + 3650 * DAY)
  await pass(24)
  expect(leaps).toEqual([3650 * DAY])
  expect(pruned).toEqual([START - 30 * DAY])
  await pass(2)
  expect(pruned.length).toBeGreaterThan(1)
})

test('a clock that is put right again is believed at once; one put back forgets less', async () => {
  vi.setSystemTime(START + 3650 * DAY)
  await pass(1)
  vi.setSystemTime(START + 2 * HOUR)
  await pass(1)
  expect(pruned).toEqual([START - 30 * DAY, START + 3 * HOUR - 30 * DAY])
})
