import type { RunOutcome } from '../core/jobs.ts'

export type Attempt = { outcome: RunOutcome; error: unknown; seconds: number }

export type Run = {
  /** Never rejects. */
  ended: Promise<Attempt>
  /** Ends it as `released`, whatever its work goes on to do. */
  release: () => void
}

/** Work under a time limit: when it is over the signal aborts, and the run has ended, whether the work heeds it or not. */
export function startRun(timeLimitMs: number, work: (signal: AbortSignal) => Promise<void>): Run {
  const from = performance.now()
  const controller = new AbortController()
  const { promise: ended, resolve } = Promise.withResolvers<Attempt>()
  const end = (outcome: RunOutcome, error: unknown = null) => {
    clearTimeout(timer)
    resolve({ outcome, error, seconds: (performance.now() - from) / 1000 })
  }
  const abort = (outcome: RunOutcome, reason: Error) => {
    // First the end and then the signal: what a handler throws because of it does not count.
    end(outcome, reason)
    controller.abort(reason)
  }
  const timer = setTimeout(
    () => abort('timed_out', new Error(`It took longer than ${timeLimitMs / 1000} s`)),
    timeLimitMs,
  )
  void (async () => {
    try {
      await work(controller.signal)
      end('done')
    } catch (error) {
      end('failed', error)
    }
  })()
  return { ended, release: () => abort('released', new Error('The process stops')) }
}
