import type { Worker } from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'

import { AggregatorRegistry } from 'prom-client'

import type { MetricsMessage, Report } from './worker-metrics.ts'

/** How long a worker may take to say what it counted; of one that is slower the report before counts. */
const PATIENCE_MS = 1000
/** What is counted of a process stays true when it has ended, unlike what was measured. */
const COUNTS = new Set(['counter', 'histogram', 'summary'])

/**
 * What the workers of this machine have counted together, the dead among them: a counter that fell would be taken for
 * one that began anew, and all of it be counted again.
 */
export function createLedger() {
  const reports = new Map<Worker, Report>()
  const waiting = new Map<string, () => void>()
  let departed: Report = []
  let burials = Promise.resolve()
  let rounds = 0

  /** Of one that answers requests, and so knows how to report. */
  function joined(worker: Worker): void {
    reports.set(worker, [])
    worker.on('message', (message: MetricsMessage) => void heard(worker, message))
  }

  function ended(worker: Worker): void {
    burials = bury(worker, burials)
  }

  /** One after the other, and in one place or the other at any moment: a sum in between misses none, nor has it twice. */
  async function bury(worker: Worker, before: Promise<void>): Promise<void> {
    await before
    const counted = reports.get(worker)?.filter(({ type }) => COUNTS.has(type)) ?? []
    departed = await togetherOf([departed, counted])
    reports.delete(worker)
  }

  async function heard(worker: Worker, message: MetricsMessage): Promise<void> {
    if (message.metrics === 'report') {
      // One that has been buried was counted with what it had said.
      if (reports.has(worker)) reports.set(worker, message.report)
      waiting.get(`${worker.id} ${message.id}`)?.()
    }
    if (message.metrics === 'sum?') tell(worker, { metrics: 'sum', id: message.id, text: await sum() })
  }

  async function sum(): Promise<string> {
    const round = (rounds += 1)
    await Promise.all([...reports.keys()].map((worker) => reported(worker, round)))
    return AggregatorRegistry.aggregate([departed, ...reports.values()]).metrics()
  }

  async function reported(worker: Worker, round: number): Promise<void> {
    if (!worker.isConnected()) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const key = `${worker.id} ${round}`
    waiting.set(key, resolve)
    tell(worker, { metrics: 'report?', id: round })
    await Promise.race([promise, sleep(PATIENCE_MS)])
    waiting.delete(key)
  }

  return { joined, ended }
}

async function togetherOf(reports: Report[]): Promise<Report> {
  const json: unknown = await AggregatorRegistry.aggregate(reports).getMetricsAsJSON()
  return json as Report // what it was made of
}

/** One that dies in this moment hears it no more. */
function tell(worker: Worker, message: MetricsMessage): void {
  if (worker.isConnected()) worker.send(message, () => {})
}
