import cluster from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'

import type { Registry } from 'prom-client'

import { fail } from '../core/errors.ts'

/** What one process counts, as prom-client hands it out: in the order of its registry. */
export type Report = { name: string; type: string; aggregator?: string; values: unknown[] }[]

/**
 * Between a worker and the process that supervises it (worker-ledger.ts): who is asked for figures asks for the
 * sum, whereupon everybody is asked for a report.
 */
export type MetricsMessage =
  | { metrics: 'sum?'; id: number }
  | { metrics: 'report?'; id: number }
  | { metrics: 'report'; id: number; report: Report }
  | { metrics: 'sum'; id: number; text: string }

/** Longer than the supervisor waits for any worker. */
const PATIENCE_MS = 3000

/** By prom-client's own word these are averaged, or left out: who looks for trouble wants the worst, and the oldest. */
const AGGREGATORS: Readonly<Record<string, string>> = {
  process_start_time_seconds: 'min',
  nodejs_eventloop_lag_seconds: 'max',
  nodejs_eventloop_lag_p50_seconds: 'max',
  nodejs_eventloop_lag_p90_seconds: 'max',
  nodejs_eventloop_lag_p99_seconds: 'max',
}

/** A supervisor that is gone hears nothing, and that must not end what is in flight here. */
const say = (message: MetricsMessage) => void process.send?.(message, undefined, undefined, () => {})

/**
 * How to have the figures of `registry` as text: where this is one of several workers on a machine, those of all of them
 * together, whichever is asked. That rejects with `unavailable` when the supervisor does not answer.
 */
export function gatherMetrics(registry: Registry): () => Promise<string> {
  if (!cluster.isWorker) return () => registry.metrics()
  const waiting = new Map<number, (text: string) => void>()
  let asked = 0

  async function report(id: number): Promise<void> {
    const own = (await registry.getMetricsAsJSON()) as unknown as Report // what prom-client leaves out of its types
    for (const metric of own) metric.aggregator = AGGREGATORS[metric.name] ?? metric.aggregator ?? 'sum'
    say({ metrics: 'report', id, report: own })
  }

  process.on('message', (message: MetricsMessage | string) => {
    if (typeof message === 'string') return
    if (message.metrics === 'report?') void report(message.id)
    if (message.metrics === 'sum') waiting.get(message.id)?.(message.text)
  })

  return async () => {
    const id = (asked += 1)
    const { promise, resolve } = Promise.withResolvers<string>()
    waiting.set(id, resolve)
    say({ metrics: 'sum?', id })
    const text = await Promise.race([promise, sleep(PATIENCE_MS, null, { ref: false })])
    waiting.delete(id)
    return text ?? fail('unavailable', 'The figures of the other workers are not there in time; ask again')
  }
}
