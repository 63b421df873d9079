/** What /metrics said at a moment: each sample by its name with its labels. */
export type Sample = { atMs: number; values: ReadonlyMap<string, number> }

/** What happened between two samples; rates are a second's. NaN where nothing happened that could be measured. */
export type Figures = {
  seconds: number
  upSeconds: number
  deliveries: number
  outcomes: Record<string, number>
  sources: Record<string, Record<string, number>>
  answer: { p50Ms: number; p99Ms: number }
  commits: { rate: number; together: number; p99Ms: number }
  queued: number
  shed: number
  cpuPercent: number
  memoryBytes: number
  loopP99Ms: number
  tickets: number
  storeBytes: Record<string, number>
  jobs: { rate: number; states: Record<string, number>; oldestS: number }
}

/** The text format of Prometheus, as far as it has numbers. */
export function parseMetrics(text: string): ReadonlyMap<string, number> {
  const lines = text.matchAll(/^([a-zA-Z_:][\w:]*(?:\{[^}]*\})?) (\S+)/gm)
  return new Map(Array.from(lines, ([, name = '', value]) => [name, value === '+Inf' ? Infinity : Number(value)]))
}

export function figuresBetween(before: Sample, after: Sample): Figures {
  const seconds = (after.atMs - before.atMs) / 1000
  const now = (name: string) => after.values.get(name) ?? Number.NaN
  const grown = (name: string) => (after.values.get(name) ?? 0) - (before.values.get(name) ?? 0)
  const rate = (name: string) => grown(name) / seconds

  const outcomes: Record<string, number> = {}
  const sources: Record<string, Record<string, number>> = {}
  for (const [name, labels] of series(after, 'ticketflow_deliveries_total')) {
    const { source = '', outcome = '' } = labels
    outcomes[outcome] = (outcomes[outcome] ?? 0) + rate(name)
    sources[source] = { ...sources[source], [outcome]: rate(name) }
  }
  const answer = (part: number) => quantile(before, after, 'ticketflow_delivery_duration_seconds', part) * 1000
  const bytes = series(after, 'ticketflow_store_bytes').map(([name, { file = '' }]) => [file, now(name)] as const)
  return {
    seconds,
    upSeconds: after.atMs / 1000 - now('process_start_time_seconds'),
    deliveries: sum(Object.values(outcomes)),
    outcomes,
    sources,
    answer: { p50Ms: answer(0.5), p99Ms: answer(0.99) },
    commits: {
      rate: rate('ticketflow_commit_deliveries_count'),
      together: grown('ticketflow_commit_deliveries_sum') / grown('ticketflow_commit_deliveries_count'),
      p99Ms: quantile(before, after, 'ticketflow_commit_duration_seconds', 0.99) * 1000,
    },
    queued: now('ticketflow_queued_deliveries'),
    shed: sum(series(after, 'ticketflow_shed_total').map(([name]) => rate(name))),
    cpuPercent: rate('process_cpu_seconds_total') * 100,
    memoryBytes: now('process_resident_memory_bytes'),
    loopP99Ms: now('nodejs_eventloop_lag_p99_seconds') * 1000,
    tickets: now('ticketflow_tickets'),
    storeBytes: Object.fromEntries(bytes),
    jobs: jobsBetween(before, after, seconds),
  }
}

/** Of all kinds together. */
function jobsBetween(before: Sample, after: Sample, seconds: number): Figures['jobs'] {
  const states: Record<string, number> = { waiting: 0, running: 0, failed: 0, dead: 0 }
  for (const [name, { state = '' }] of series(after, 'ticketflow_jobs')) {
    states[state] = (states[state] ?? 0) + (after.values.get(name) ?? 0)
  }
  const ended = series(after, 'ticketflow_job_runs_total')
  const ages = series(after, 'ticketflow_jobs_oldest_seconds').map(([name]) => after.values.get(name) ?? 0)
  return {
    rate: sum(ended.map(([name]) => (after.values.get(name) ?? 0) - (before.values.get(name) ?? 0))) / seconds,
    states,
    oldestS: Math.max(0, ...ages),
  }
}

export const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0)

/** The samples of a metric, with their labels. */
function series({ values }: Sample, metric: string): [name: string, labels: Record<string, string>][] {
  return [...values.keys()]
    .filter((name) => name === metric || name.startsWith(`${metric}{`))
    .map((name) => [
      name,
      Object.fromEntries(Array.from(name.matchAll(/[{,](\w+)="([^"]*)"/g), ([, key, value]) => [key, value])),
    ])
}

/** Of what a histogram counted between two samples: within its bucket evenly spread, as Prometheus takes it to be. */
function quantile(before: Sample, after: Sample, metric: string, part: number): number {
  const buckets = series(after, `${metric}_bucket`)
    .map(([name, { le = '' }]) => ({
      upTo: le === '+Inf' ? Infinity : Number(le),
      count: (after.values.get(name) ?? 0) - (before.values.get(name) ?? 0),
    }))
    .toSorted((a, b) => a.upTo - b.upTo)
  const wanted = (buckets.at(-1)?.count ?? 0) * part
  const index = buckets.findIndex(({ count }) => count > 0 && count >= wanted)
  const [lower, bucket] = [buckets[index - 1] ?? { upTo: 0, count: 0 }, buckets[index]]
  if (bucket === undefined) return Number.NaN
  if (bucket.upTo === Infinity) return lower.upTo
  return lower.upTo + ((bucket.upTo - lower.upTo) * (wanted - lower.count)) / (bucket.count - lower.count)
}
