// Preloaded into each server (node --import): measures the event-loop delay from 'start' to 'stop'. In between it is
// off, so that a server that waits for its turn does not wake up a thousand times a second.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'

const RESOLUTION_MS = 1

if (isMainThread && process.send !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  process.on('message', (message) => {
    if (message === 'start') {
      delay.reset()
      delay.enable()
      return
    }
    delay.disable()
    // The histogram counts from one resolution step on; what is above it is delay.
    process.send?.({ loopP99Ms: Math.max(0, delay.percentile(99) / 1e6 - RESOLUTION_MS) })
  })
}
