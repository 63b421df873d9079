import cluster, { type Worker } from 'node:cluster'

import { createLedger } from '../http/worker-ledger.ts'

/** Between the death of a worker and the next: doubled each time it dies young. */
const PAUSE_MS = { least: 100, most: 30_000 }
/** Who lived this long did not die of how it was started. */
const OLD_MS = 60_000
const STOP = 'stop'
const SLOT = 'WORKER_SLOT'

/**
 * Runs `count` copies of this program that share one port, and starts each again that dies. The first has to listen
 * before the others begin, because it may have a store to prepare; where it cannot, nothing is tried again. Resolves
 * to the exit code, once a signal has told it to stop and all have finished what was in flight.
 */
export function supervise({ count, say }: { count: number; say: (line: string) => void }): Promise<number> {
  return new Promise((resolve) => {
    let isStopping = false
    let hasListened = false
    let wasForced = false
    let youngDeaths = 0
    const waiting = new Set<NodeJS.Timeout>()
    const born = new Map<Worker, number>()
    const slots = new Map<Worker, number>()
    const ledger = createLedger()

    function start(): void {
      const slot = freeSlot(new Set(slots.values()))
      const worker = cluster.fork({ [SLOT]: String(slot) })
      born.set(worker, performance.now())
      slots.set(worker, slot)
      worker.once('listening', () => {
        ledger.joined(worker)
        if (hasListened || isStopping) return
        hasListened = true
        for (let more = 1; more < count; more += 1) start()
      })
      worker.once('exit', (code, signal) => ended(worker, signal ?? `exit code ${code}`))
    }

    function ended(worker: Worker, how: string): void {
      const age = performance.now() - (born.get(worker) ?? 0)
      born.delete(worker)
      slots.delete(worker)
      ledger.ended(worker)
      if (isStopping || !hasListened) {
        if (born.size === 0) resolve(isStopping && !wasForced ? 0 : 1)
        return
      }
      youngDeaths = age < OLD_MS ? youngDeaths + 1 : 1
      const pause = Math.min(PAUSE_MS.least * 2 ** (youngDeaths - 1), PAUSE_MS.most)
      say(`worker ${worker.process.pid} ended (${how}); another starts in ${pause / 1000} s`)
      const timer = setTimeout(() => {
        waiting.delete(timer)
        start()
      }, pause)
      waiting.add(timer)
    }

    function stop(): void {
      if (isStopping) {
        // A second signal is from somebody who does not want to wait; nothing acknowledged is lost either way.
        wasForced = true
        for (const worker of born.keys()) worker.process.kill('SIGKILL')
        return
      }
      isStopping = true
      for (const timer of waiting) clearTimeout(timer)
      // Not by a signal: a terminal, or systemd, has sent them that one already, and a second would cut them short.
      for (const worker of born.keys()) if (worker.isConnected()) worker.send(STOP)
      if (born.size === 0) resolve(0)
    }

    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
    start()
  })
}

function freeSlot(taken: ReadonlySet<number>): number {
  let slot = 1
  while (taken.has(slot)) slot += 1
  return slot
}

/** In a worker: stops when it is told to, when a signal says so, and when nobody is left who could tell it. */
export function whenToldToStop(stop: () => void): void {
  let isStopping = false
  const once = () => {
    if (isStopping) return
    isStopping = true
    stop()
  }
  process.on('message', (message) => message === STOP && once())
  process.on('disconnect', once)
  process.on('SIGTERM', once)
  process.on('SIGINT', once)
}
