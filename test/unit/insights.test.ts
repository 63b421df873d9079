import { rmSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type Activity, HOUR_MS, latencyStep, noActivity, percentile, tally } from '../../src/core/activity.ts'
import { insightsOf } from '../../src/core/insights.ts'
import { createActivity } from '../../src/store/activity.ts'
import { questionsOf } from '../../src/store/sqlite-activity.ts'
import { openStore, storePath } from '../../src/store/sqlite-files.ts'
import { temporaryDirectory } from '../server.ts'

const NOW = Date.UTC(2026, 10, 30, 12, 30)
const hourAgo = (hours: number) => Math.floor((NOW - hours * HOUR_MS) / HOUR_MS) * HOUR_MS

function came(
  count: number,
  { outcome = 'created', platform = 'zendesk', category = 'general', us = 2000 } = {},
): Activity {
  const activity = noActivity()
  tally(activity.outcomes, outcome, count)
  tally(activity.platforms, platform, count)
  tally(activity.sources, 'acme', count)
  if (outcome === 'rejected') tally(activity.refused, 'acme', count)
  activity.latency.set(latencyStep(us), count)
  activity.tickets = count
  tally(activity.categories, category, count)
  return activity
}

describe('insights', () => {
  test('a day is the sum of its hours, beside as long a time before', () => {
    const hours = new Map([
      [hourAgo(1), came(10)],
      [hourAgo(2), came(5, { outcome: 'rejected' })],
      [hourAgo(30), came(7)],
    ])
    const { totals, before, series, sources } = insightsOf(hours, { now: NOW, days: 1, step: 'hour' })
    expect(totals).toMatchObject({ deliveries: 15, refused: 5, tickets: 15 })
    expect(before).toMatchObject({ deliveries: 7, refused: 0 })
    expect(series).toHaveLength(24)
    expect(series.at(-2)?.tickets).toBe(10)
    expect(series.at(-1)?.p50).toBeNull()
    expect(sources).toEqual([{ name: 'acme', now: 15, before: 7, refused: 5 }])
  })

  test('what changed since last week is told when chance does not do that, most unlike first', () => {
    const hours = new Map([
      [hourAgo(24), came(400, { category: 'billing' })],
      [hourAgo(26), came(100, { category: 'general' })],
      [hourAgo(24 * 8), came(100, { category: 'billing' })],
      [hourAgo(24 * 9), came(103, { category: 'general' })],
    ])
    const { changes, hasWeekBefore } = insightsOf(hours, { now: NOW, days: 7, step: 'day' })
    expect(hasWeekBefore).toBe(true)
    expect(changes[0]).toEqual({ what: 'category', name: 'billing', now: 400, before: 100 })
    expect(changes.map(({ name }) => name)).not.toContain('general')
  })

  test('latency is told when it is half as much again; without a week before nothing is', () => {
    const slow = new Map([
      [hourAgo(5), came(200, { us: 90_000 })],
      [hourAgo(24 * 8), came(200, { us: 2000 })],
    ])
    expect(insightsOf(slow, { now: NOW, days: 7, step: 'day' }).changes[0]).toMatchObject({ what: 'latency' })
    const first = new Map([[hourAgo(5), came(200)]])
    expect(insightsOf(first, { now: NOW, days: 7, step: 'day' })).toMatchObject({ changes: [], hasWeekBefore: false })
  })

  test('a percentile is within a twentieth of what it was', () => {
    const steps = new Map<number, number>()
    for (let us = 1; us <= 1000; us += 1) {
      const step = latencyStep(us * 100)
      steps.set(step, (steps.get(step) ?? 0) + 1)
    }
    expect((percentile(steps, 0.5) ?? 0) / 50).toBeCloseTo(1, 1)
    expect((percentile(steps, 0.95) ?? 0) / 95).toBeCloseTo(1, 1)
    expect(percentile(new Map(), 0.5)).toBeNull()
  })

  test('names that senders choose are bounded, and none of them is special', () => {
    const counts = new Map<string, number>()
    for (let n = 0; n < 500; n += 1) tally(counts, n === 0 ? '__proto__' : `c${n}`)
    expect(counts.size).toBeLessThanOrEqual(201)
    expect(counts.get('__proto__')).toBe(1)
    expect(counts.get('(other)')).toBe(300)
  })
})

describe('counting what came', () => {
  /** A table of this many rows, one a minute. */
  function rows(size: { deliveries: number; tickets: number }, reads: [string, number, number][]) {
    return {
      activityRange: async (table: 'deliveries' | 'tickets', from: number) => ({ first: from, last: size[table] }),
      activityOf: async (table: 'deliveries' | 'tickets', first: number, last: number) => {
        reads.push([table, first, last])
        const hours = new Map<number, Activity>()
        for (let id = first + 1; id <= last; id += 1) {
          const at = Math.floor(id / 60) * HOUR_MS
          const hour = hours.get(at) ?? noActivity()
          if (table === 'tickets') hour.tickets += 1
          else tally(hour.outcomes, 'created')
          hours.set(at, hour)
        }
        return hours
      },
    }
  }
  const sum = (hours: ReadonlyMap<number, Activity>) => {
    const all = [...hours.values()]
    const deliveries = all.reduce((count, { outcomes }) => count + (outcomes.get('created') ?? 0), 0)
    return { deliveries, tickets: all.reduce((count, { tickets }) => count + tickets, 0) }
  }

  test('each row is counted once, also those that come later and those from before', async () => {
    const size = { deliveries: 10_000, tickets: 9000 }
    const reads: [string, number, number][] = []
    const activity = createActivity(rows(size, reads))
    expect(sum((await activity(5000, 60_000)).hours)).toEqual({ deliveries: 5000, tickets: 4000 })
    size.deliveries += 10
    reads.length = 0
    expect(sum((await activity(5000, 60_000)).hours)).toEqual({ deliveries: 5010, tickets: 4000 })
    expect(reads).toEqual([['deliveries', 10_000, 10_010]])
    const both = await Promise.all([activity(0, 60_000), activity(0, 60_000)])
    for (const { hours, isWhole } of both) {
      expect(sum(hours)).toEqual({ deliveries: 10_010, tickets: 9000 })
      expect(isWhole).toBe(true)
    }
  })

  test('where there is no time, it says so, and goes on from there', async () => {
    const activity = createActivity(rows({ deliveries: 9000, tickets: 9000 }, []))
    const first = await activity(0, 0)
    expect(first.isWhole).toBe(false)
    let last = first
    for (let tries = 0; tries < 1000 && !last.isWhole; tries += 1) last = await activity(0, 1)
    expect(sum(last.hours)).toEqual({ deliveries: 9000, tickets: 9000 })
  })
})

test('no question walks through a table, however large it is', async () => {
  const directory = await temporaryDirectory()
  const db = openStore(storePath(directory))
  try {
    const questions = (['deliveries', 'tickets'] as const).flatMap((table) => Object.values(questionsOf(table)))
    expect(questions).toHaveLength(6)
    for (const sql of questions) {
      const plan = db
        .prepare(`explain query plan ${sql}`)
        .all()
        .map(({ detail }) => String(detail))
      expect(
        plan.some((step) => /^SEARCH (?:deliveries|tickets)/.test(step)),
        sql,
      ).toBe(true)
      expect(
        plan.filter((step) => /^SCAN (?:deliveries|tickets)/.test(step)),
        sql,
      ).toEqual([])
    }
  } finally {
    db.close()
    rmSync(directory, { recursive: true })
  }
})
