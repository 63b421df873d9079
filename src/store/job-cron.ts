import type { CronEntry, JobsHooks } from '../core/jobs.ts'
import { type Run, startRun } from './job-run.ts'

/** How often, at most and at least, an entry is looked at. */
const SHORTEST_MS = 20
const LONGEST_MS = 30_000

/**
 * Looks at each entry when it may be due. `claim` says whether this node is the one to run it, and notes at the same
 * moment when it is due next: a run that fails or is killed is made up for by the next one.
 */
export function startCron(
  entries: readonly CronEntry[],
  claim: (entry: CronEntry, now: number) => Promise<boolean>,
  hooks: JobsHooks,
): { close: (drainMs: number) => Promise<void> } {
  const timers = new Map<string, NodeJS.Timeout>()
  const running = new Map<Run, { ended: Promise<unknown>; isInterruptible: boolean }>()
  let closed = false

  async function tick(entry: CronEntry): Promise<void> {
    try {
      if (await claim(entry, Date.now())) await runEntry(entry)
    } catch (error) {
      hooks.onFault(error)
    }
    if (closed) return
    const pause = Math.min(Math.max(entry.everyMs / 4, SHORTEST_MS), LONGEST_MS)
    timers.set(
      entry.name,
      setTimeout(() => void tick(entry), pause),
    )
  }

  async function runEntry({ name, timeLimitMs, isInterruptible = false, run: work }: CronEntry): Promise<void> {
    if (closed) return
    const run = startRun(timeLimitMs, work)
    running.set(run, { ended: run.ended, isInterruptible })
    const { outcome, error, seconds } = await run.ended
    running.delete(run)
    hooks.onRun(name, outcome, seconds)
    if (outcome === 'failed' || outcome === 'timed_out') hooks.onFault(error)
  }

  for (const entry of entries) void tick(entry)
  return {
    close: async (drainMs) => {
      closed = true
      for (const timer of timers.values()) clearTimeout(timer)
      const impatience = setTimeout(() => [...running.keys()].forEach((run) => run.release()), drainMs)
      for (const [run, { isInterruptible }] of running) if (isInterruptible) run.release()
      await Promise.all([...running.values()].map(({ ended }) => ended))
      clearTimeout(impatience)
    },
  }
}
