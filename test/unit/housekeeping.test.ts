import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { startHousekeeping } from '../../src/work/housekeeping.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const START = Date.parse('2026-11-24T00:00:00Z')

let stop: () => void
let pruned: number[]
let leaps: number[]
beforeEach(() => {
  vi.useFakeTimers({ now: START, toFake: ['Date', 'performance', 'setInterval', 'clearInterval'] })
  pruned = []
  leaps = []
  stop = startHousekeeping({
    store: { prune: async (before) => pruned.push(before) && 0 },
    retentionDays: 30,
    onPruned: () => {},
    onLeap: (ms) => leaps.push(ms),
    onError: (error) => expect.unreachable(String(error)),
  })
})
afterEach(() => {
  stop()
  vi.useRealTimers()
})

test('forgets at the start and every hour', () => {
  vi.advanceTimersByTime(2 * HOUR)
  expect(pruned).toEqual([0, 1, 2].map((hour) => START + hour * HOUR - 30 * DAY))
})

test('a clock put ten years ahead forgets nothing for a day, and then goes on', () => {
  vi.setSystemTime(START + 3650 * DAY)
  vi.advanceTimersByTime(24 * HOUR)
  expect(leaps).toEqual([3650 * DAY])
  expect(pruned).toEqual([START - 30 * DAY])
  vi.advanceTimersByTime(2 * HOUR)
  expect(pruned.length).toBeGreaterThan(1)
})

test('a clock that is put right again is believed at once; one put back forgets less', () => {
  vi.setSystemTime(START + 3650 * DAY)
  vi.advanceTimersByTime(HOUR)
  vi.setSystemTime(START + 2 * HOUR)
  vi.advanceTimersByTime(HOUR)
  expect(pruned).toEqual([START - 30 * DAY, START + 3 * HOUR - 30 * DAY])
})
