import { setTimeout as sleep } from 'node:timers/promises'

import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

import type { Jobs, RunOutcome } from '../core/jobs.ts'
import { SHED_REASONS, type ShedReason } from '../core/overload.ts'
import { OUTCOMES, type Store } from '../store/store.ts'
import { createJobMetrics } from './job-metrics.ts'
import type { Hearing } from '../work/silence.ts'
import { gatherMetrics } from './worker-metrics.ts'

export type Metrics = {
  /**
   * An outcome, or `limited` for one that came too often and is counted here alone. `source` is the one that the
   * address names; null where it names none.
   */
  delivery: (source: string | null, outcome: string, seconds: number) => void
  /** A group of deliveries was committed, or could not be. */
  commit: (deliveries: number, seconds: number) => void
  /** A request was refused before it was read. */
  shed: (reason: ShedReason) => void
  connectionClosed: (why: string) => void
  jobRun: (kind: string, outcome: RunOutcome, seconds: number) => void
  contentType: string
  text: () => Promise<string>
}

/** From what an idle server takes to what a sender gives up at. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

/** How long the store may take to say how large it is. */
const FIGURES_MS = 1000

// No source can be called so: an id begins with a letter or a digit.
const NO_SOURCE = '(none)'
const UNKNOWN_SOURCE = '(unknown)'

/** `isSource` keeps what strangers make up from becoming a series. */
export function createMetrics(
  store: Pick<Store, 'queued' | 'figures'>,
  isSource: (id: string) => boolean,
  jobs: Pick<Jobs, 'figures'>,
  silence: () => Promise<ReadonlyMap<string, Hearing>>,
): Metrics {
  /** What this process counts: of several workers on a machine it is added up. */
  const own = new Registry()
  /** What the store knows: whoever is asked says it alone. */
  const stored = new Registry()
  const gather = gatherMetrics(own)
  collectDefaultMetrics({ register: own })
  const deliveries = new Counter({
    name: 'ticketflow_deliveries_total',
    help: 'Requests to the webhook, by the source that their address names',
    labelNames: ['source', 'outcome'],
    registers: [own],
  })
  const duration = new Histogram({
    name: 'ticketflow_delivery_duration_seconds',
    help: 'From the request to its answer',
    buckets: SECONDS,
    registers: [own],
  })
  const commitSize = new Histogram({
    name: 'ticketflow_commit_deliveries',
    help: 'Deliveries that were committed together',
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
    registers: [own],
  })
  const commitDuration = new Histogram({
    name: 'ticketflow_commit_duration_seconds',
    help: 'From the beginning of a commit until it was on disk',
    buckets: SECONDS,
    registers: [own],
  })
  const storeBytes = new Gauge({
    name: 'ticketflow_store_bytes',
    help: 'Size of the files of the store: tickets and deliveries, the log of what is not yet among them, the search index',
    labelNames: ['file'],
    registers: [stored],
  })
  const tickets = new Gauge({
    name: 'ticketflow_tickets',
    help: 'Number of the newest ticket',
    registers: [stored],
  })
  const silent = new Gauge({
    name: 'ticketflow_source_silent',
    help: '1 while a source is quieter than it uses to be at this hour of the week, else 0',
    labelNames: ['source'],
    registers: [stored],
  })
  const lastSeen = new Gauge({
    name: 'ticketflow_source_last_seen_timestamp_seconds',
    help: 'When the newest delivery of a source came that was not refused',
    labelNames: ['source'],
    registers: [stored],
  })
  async function hear(): Promise<void> {
    const hearings = await Promise.race([silence().catch(() => null), sleep(FIGURES_MS, null, { ref: false })])
    if (hearings === null) return
    silent.reset()
    lastSeen.reset()
    for (const [source, { lastSeen: seen, silentSince }] of hearings) {
      silent.set({ source }, silentSince === null ? 0 : 1)
      if (seen !== null) lastSeen.set({ source }, seen / 1000)
    }
  }
  const closed = new Counter({
    name: 'ticketflow_connections_closed_total',
    help: 'Connections that the server closed: too many of an address, too many in all, or an answer that nobody read',
    labelNames: ['why'],
    registers: [own],
  })
  const waiting: Gauge = new Gauge({
    name: 'ticketflow_queued_deliveries',
    help: 'Deliveries that wait for a commit',
    registers: [own],
    collect: () => waiting.set(store.queued()),
  })
  const sheds = new Counter({
    name: 'ticketflow_shed_total',
    help: 'Requests that were refused before their body was read',
    labelNames: ['reason'],
    registers: [own],
  })
  const jobMetrics = createJobMetrics({ own, stored })
  const bySource = new Map<string, Map<string, Counter.Internal>>()
  function seriesOf(source: string) {
    const known = bySource.get(source)
    if (known !== undefined) return known
    const series = new Map([...OUTCOMES, 'limited'].map((outcome) => [outcome, deliveries.labels(source, outcome)]))
    bySource.set(source, series)
    return series
  }
  seriesOf(NO_SOURCE)
  for (const reason of SHED_REASONS) sheds.labels(reason).inc(0)
  return {
    shed: (reason) => sheds.labels(reason).inc(),
    delivery: (source, outcome, seconds) => {
      const label = source === null ? NO_SOURCE : isSource(source) ? source : UNKNOWN_SOURCE
      seriesOf(label).get(outcome)?.inc()
      duration.observe(seconds)
    },
    commit: (count, seconds) => {
      commitSize.observe(count)
      commitDuration.observe(seconds)
    },
    connectionClosed: (why) => closed.labels(why).inc(),
    jobRun: jobMetrics.run,
    contentType: own.contentType,
    text: async () => {
      await hear()
      // Where the store cannot be read these stay what they were: all else is wanted then more than ever.
      const [figures, jobFigures] = await Promise.all([soon(store.figures()), soon(jobs.figures())])
      if (jobFigures !== null) jobMetrics.set(jobFigures)
      if (figures !== null) {
        tickets.set(figures.newestTicket)
        for (const [file, size] of Object.entries(figures.bytes)) storeBytes.set({ file }, size)
      }
      return `${await gather()}\n${await stored.metrics()}`
    },
  }
}

/** Null where it fails, or is not there in time. */
const soon = <T>(asked: Promise<T>): Promise<T | null> =>
  Promise.race([asked.catch(() => null), sleep(FIGURES_MS, null, { ref: false })])
