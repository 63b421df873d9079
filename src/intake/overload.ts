import { statfs } from 'node:fs/promises'
import { getHeapStatistics } from 'node:v8'

import { type Lap, lapsWithin, meanDelay, presses, SHED_REASONS, type ShedReason } from '../core/overload.ts'

const LAP_MS = 100
const WINDOW_MS = 1000
const DISK_MS = 1000
/** Of the memory that JavaScript may have: beyond it the collector runs all the time and the process is near its end. */
const HEAP_PART = 0.9
/** An episode is over when nothing was refused for so long: a queue fills and empties many times a second. */
const QUIET_MS = 5000

export type Shed = { reason: ShedReason; detail: string; retryAfterS: number }

const SHEDS: Record<ShedReason, Shed> = {
  event_loop: shed('event_loop', 'The server is overloaded; send this again in a moment', 2),
  queue: shed('queue', 'Too many deliveries are waiting to be stored; send this one again', 1),
  disk: shed('disk', 'The disk is nearly full: nothing new is stored until there is room; send this again later', 30),
  memory: shed('memory', 'The server is short of memory; send this again in a moment', 5),
}

type Facts = { reason: ShedReason; refused: number; value?: number; bound?: number }

export type Overload = {
  /** Why a request is refused right now, which is then counted; null when it is not. `stores`: it needs room on disk. */
  refuse: (stores: boolean) => Shed | null
  /** The same without counting: what is wrong with the server as a whole. */
  now: () => Shed | null
  isDiskFull: () => boolean
  close: () => void
}

/**
 * Watches the event loop, memory and the disk by a timer, and the queue through `isCrowded`. A request costs a look at
 * what the timer found. Each bound is off when it is 0. `onBegin` and `onEnd` hear of an episode once.
 */
export async function watchOverload(deps: {
  directory: string
  maxLoopDelayMs: number
  minFreeBytes: number
  maxMemoryBytes: number
  isCrowded: () => boolean
  onShed: (reason: ShedReason) => void
  onBegin: (facts: Facts) => void
  onEnd: (facts: Facts) => void
}): Promise<Overload> {
  const { directory, maxLoopDelayMs, minFreeBytes, maxMemoryBytes, isCrowded, onShed, onBegin, onEnd } = deps
  const pressing: Record<ShedReason, boolean> = { event_loop: false, queue: false, disk: false, memory: false }
  const measured: Partial<Record<ShedReason, { value: number; bound: number }>> = {}
  const refused: Record<ShedReason, number> = { event_loop: 0, queue: 0, disk: 0, memory: 0 }
  const episodes = new Map<ShedReason, { from: number; seen: number; activeAt: number }>()
  /** What everybody is refused for, and what those who need room are refused for. */
  let forAll: ShedReason | null = null
  let forStoring: ShedReason | null = null
  let laps: Lap[] = []
  let lappedAt = performance.now()
  let diskAt = 0

  function weigh(reason: ShedReason, value: number, bound: number): void {
    if (bound === 0) return
    measured[reason] = { value: Math.round(value), bound }
    // The disk is at its bound when little is left; all others when there is much.
    pressing[reason] = presses(pressing[reason], reason === 'disk' ? bound / value : value / bound)
  }

  function lap(): void {
    const now = performance.now()
    const tookMs = now - lappedAt
    lappedAt = now
    laps = lapsWithin([...laps, { tookMs, lateMs: Math.max(0, tookMs - LAP_MS) }], WINDOW_MS)
    weigh('event_loop', meanDelay(laps), maxLoopDelayMs)
    weighMemory()
    decide()
    tell(now)
    if (now - diskAt >= DISK_MS) {
      diskAt = now
      void weighDisk()
    }
  }

  function weighMemory(): void {
    const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
    const rss = maxMemoryBytes === 0 ? 0 : process.memoryUsage.rss()
    const isHeap = maxMemoryBytes === 0 || used / (limit * HEAP_PART) > rss / maxMemoryBytes
    if (isHeap) weigh('memory', used, limit * HEAP_PART)
    else weigh('memory', rss, maxMemoryBytes)
  }

  async function weighDisk(): Promise<void> {
    if (minFreeBytes === 0) return
    try {
      const { bavail, bsize } = await statfs(directory)
      weigh('disk', bavail * bsize, minFreeBytes)
      decide()
    } catch {
      // A directory that is gone is the store's to notice: no commit succeeds there.
    }
  }

  function decide(): void {
    forAll = pressing.memory ? 'memory' : pressing.event_loop ? 'event_loop' : null
    forStoring = forAll ?? (pressing.disk ? 'disk' : null)
  }

  function tell(now: number): void {
    for (const reason of SHED_REASONS) {
      const episode = episodes.get(reason)
      const isActive = pressing[reason] || refused[reason] > (episode?.seen ?? 0)
      const facts = { reason, ...measured[reason] }
      if (isActive && episode === undefined) onBegin({ ...facts, refused: refused[reason] })
      if (isActive) episodes.set(reason, { from: episode?.from ?? now, seen: refused[reason], activeAt: now })
      else if (episode !== undefined && now - episode.activeAt >= QUIET_MS) {
        onEnd({ ...facts, refused: refused[reason] })
        episodes.delete(reason)
        refused[reason] = 0
      }
    }
  }

  const reasonNow = (stores: boolean): ShedReason | null =>
    (stores ? forStoring : forAll) ?? (isCrowded() ? 'queue' : null)

  await weighDisk()
  const timer = setInterval(lap, LAP_MS)
  timer.unref()

  return {
    refuse: (stores) => {
      const reason = reasonNow(stores)
      if (reason === null) return null
      refused[reason] += 1
      onShed(reason)
      return SHEDS[reason]
    },
    now: () => {
      const reason = reasonNow(true)
      return reason === null ? null : SHEDS[reason]
    },
    isDiskFull: () => pressing.disk,
    close: () => clearInterval(timer),
  }
}

function shed(reason: ShedReason, detail: string, retryAfterS: number): Shed {
  return { reason, detail, retryAfterS }
}
