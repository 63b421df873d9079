import { describe, expect, test } from 'vitest'

import { figuresBetween, parseMetrics } from '../../src/cli/top-figures.ts'

const sample = (atMs: number, text: string) => ({ atMs, values: parseMetrics(text) })

const duration = (counts: readonly [string, number][]) =>
  counts.map(([le, count]) => `ticketflow_delivery_duration_seconds_bucket{le="${le}"} ${count}`).join('\n')

describe('figures between two samples', () => {
  const before = sample(
    10_000,
    `# HELP ticketflow_deliveries_total Requests
ticketflow_deliveries_total{source="shop",outcome="created"} 100
ticketflow_deliveries_total{source="(none)",outcome="created"} 7
ticketflow_commit_deliveries_sum 107
ticketflow_commit_deliveries_count 50
process_cpu_seconds_total 3.5
${duration([
  ['0.001', 100],
  ['0.01', 107],
  ['+Inf', 107],
])}`,
  )
  const after = sample(
    12_000,
    `ticketflow_deliveries_total{source="shop",outcome="created"} 300
ticketflow_deliveries_total{source="shop",outcome="duplicate"} 10
ticketflow_deliveries_total{source="(none)",outcome="created"} 7
ticketflow_commit_deliveries_sum 317
ticketflow_commit_deliveries_count 57
ticketflow_store_bytes{file="tickets"} 4096
ticketflow_store_bytes{file="log"} 8192
ticketflow_queued_deliveries 3
process_cpu_seconds_total 4.5
process_start_time_seconds 2
${duration([
  ['0.001', 200],
  ['0.01', 307],
  ['+Inf', 317],
])}`,
  )
  const figures = figuresBetween(before, after)

  test('are rates, by outcome and by source', () => {
    expect(figures.deliveries).toBe(105)
    expect(figures.outcomes).toEqual({ created: 100, duplicate: 5 })
    expect(figures.sources).toEqual({ shop: { created: 100, duplicate: 5 }, '(none)': { created: 0 } })
    expect(figures.commits).toMatchObject({ rate: 3.5, together: 30 })
    expect(figures).toMatchObject({ cpuPercent: 50, queued: 3, upSeconds: 10, seconds: 2 })
    expect(figures.storeBytes).toEqual({ tickets: 4096, log: 8192 })
  })

  test('quantiles are of what came between, spread evenly within a bucket', () => {
    // 210 came: 100 within 1 ms, 100 more within 10 ms, 10 beyond. The 105th is the fifth of a hundred there.
    expect(figures.answer.p50Ms).toBeCloseTo(1 + 9 * 0.05)
    expect(figures.answer.p99Ms).toBe(10)
  })

  test('what was not there, or did not happen, is no number and no fault', () => {
    const idle = figuresBetween(after, { ...after, atMs: 13_000 })
    expect(idle.deliveries).toBe(0)
    expect([idle.answer.p50Ms, idle.commits.together, idle.memoryBytes]).toEqual([Number.NaN, Number.NaN, Number.NaN])
    expect(figuresBetween(sample(0, ''), sample(1000, ''))).toMatchObject({ deliveries: 0, sources: {}, shed: 0 })
  })
})
