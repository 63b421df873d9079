import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

import { JOB_STATES, type JobFigures, RUN_OUTCOMES, type RunOutcome } from '../core/jobs.ts'

/** From what a job takes that asks nobody to what a language model is given. */
const SECONDS = [0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

/**
 * What there is of jobs, which is the store's, and how runs end, which is this process' own. Kinds are the program's own
 * words, so that they may be labels.
 */
export function createJobMetrics({ own, stored }: { own: Registry; stored: Registry }) {
  const jobs = new Gauge({
    name: 'ticketflow_jobs',
    help: 'Jobs by kind and state: waiting, running, failed (waits for another try), dead (waits for somebody)',
    labelNames: ['kind', 'state'],
    registers: [stored],
  })
  const oldest = new Gauge({
    name: 'ticketflow_jobs_oldest_seconds',
    help: 'How long the oldest job of a kind has been due',
    labelNames: ['kind'],
    registers: [stored],
  })
  const runs = new Counter({
    name: 'ticketflow_job_runs_total',
    help: 'Runs of jobs, and of what is done again and again, by how they ended',
    labelNames: ['kind', 'outcome'],
    registers: [own],
  })
  const duration = new Histogram({
    name: 'ticketflow_job_duration_seconds',
    help: 'How long a run took',
    labelNames: ['kind'],
    buckets: SECONDS,
    registers: [own],
  })
  return {
    run: (kind: string, outcome: RunOutcome, seconds: number) => {
      // A rate is only there from the second sample on: each outcome begins at 0.
      for (const one of RUN_OUTCOMES) runs.inc({ kind, outcome: one }, one === outcome ? 1 : 0)
      duration.observe({ kind }, seconds)
    },
    set: (figures: readonly JobFigures[]) => {
      jobs.reset()
      oldest.reset()
      for (const of of figures) {
        for (const state of JOB_STATES) jobs.set({ kind: of.kind, state }, of[state])
        oldest.set({ kind: of.kind }, of.oldestS)
      }
    },
  }
}
