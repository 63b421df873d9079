import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

import { SHED_REASONS, type ShedReason } from '../core/overload.ts'
import { OUTCOMES } from '../store/store.ts'

export type Metrics = {
  /** An outcome, or `limited` for one that came too often and is counted here alone. */
  delivery: (outcome: string, seconds: number) => void
  /** A request was refused before it was read. */
  shed: (reason: ShedReason) => void
  connectionClosed: (why: string) => void
  contentType: string
  text: () => Promise<string>
}

export function createMetrics(queued: () => number): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const deliveries = new Counter({
    name: 'ticketflow_deliveries_total',
    help: 'Requests to the webhook',
    labelNames: ['outcome'],
    registers: [registry],
  })
  const duration = new Histogram({
    name: 'ticketflow_delivery_duration_seconds',
    help: 'From the request to its answer',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [registry],
  })
  const closed = new Counter({
    name: 'ticketflow_connections_closed_total',
    help: 'Connections that the server closed: too many of an address, too many in all, or an answer that nobody read',
    labelNames: ['why'],
    registers: [registry],
  })
  const waiting = new Gauge({
    name: 'ticketflow_queued_deliveries',
    help: 'Deliveries that wait for a commit',
    registers: [registry],
  })
  const sheds = new Counter({
    name: 'ticketflow_shed_total',
    help: 'Requests that were refused before their body was read',
    labelNames: ['reason'],
    registers: [registry],
  })
  const byOutcome = new Map([...OUTCOMES, 'limited'].map((outcome) => [outcome, deliveries.labels(outcome)]))
  for (const reason of SHED_REASONS) sheds.labels(reason).inc(0)
  return {
    shed: (reason) => sheds.labels(reason).inc(),
    delivery: (outcome, seconds) => {
      byOutcome.get(outcome)?.inc()
      duration.observe(seconds)
    },
    connectionClosed: (why) => closed.labels(why).inc(),
    contentType: registry.contentType,
    text: () => {
      waiting.set(queued())
      return registry.metrics()
    },
  }
}
