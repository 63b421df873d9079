// Preloaded into each server (node --import): answers the harness with the event-loop delay since it last asked.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'

if (isMainThread && process.send !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  process.on('message', () => {
    // The histogram counts from one resolution step on; what is above it is delay.
    process.send?.({ loopP99Ms: Math.max(0, delay.percentile(99) / 1e6 - 1) })
    delay.reset()
  })
}
