import { setTimeout as sleep } from 'node:timers/promises'

import { AppError } from '../core/errors.ts'

/** Where a queue counts as crowded, and where no longer; parts of its bounds. */
const CROWDED = 0.8
const RELIEVED = 0.4

type Waiting<Item, Result> = {
  item: Item
  weight: number
  resolve: (result: Result) => void
  reject: (error: unknown) => void
}

export type GroupCommit<Item, Result> = {
  add: (item: Item) => Promise<Result>
  queued: () => number
  /** Nearly full, or was and has not emptied far enough since. */
  isCrowded: () => boolean
  /** Resolves when all that was added has been committed or refused. */
  drained: () => Promise<void>
}

/**
 * One commit for all that waits: whatever is added while a commit runs goes into the next. An idle queue adds no
 * wait, and there is no timer. `commit` gets a group and answers for each item of it, in order; when it throws, the
 * whole group is refused. A full queue refuses with `unavailable`.
 */
export function createGroupCommit<Item, Result>(options: {
  /** `lane` is below `lanes`; no two commits of one run at a time. */
  commit: (group: Item[], lane: number) => Result[] | Promise<Result[]>
  /** The size of an item in bytes, about. */
  weigh: (item: Item) => number
  maxItems: number
  maxBytes: number
  maxGroup: number
  /** How many commits may run beside each other. */
  lanes?: number
  /** A commit beside another begins only for this many: small ones cost nearly as much as large ones. */
  leastBeside?: number
  /** How long a group is to gather, where nobody waits for it. */
  gatherMs?: number
}): GroupCommit<Item, Result> {
  const { commit, weigh, maxItems, maxBytes, maxGroup, lanes = 1, leastBeside = 1, gatherMs = 0 } = options
  const free = Array.from({ length: lanes }, (_, lane) => lane)
  const running = new Set<Promise<void>>()
  let waiting: Waiting<Item, Result>[] = []
  let bytes = 0
  let crowded = false

  const isFilled = (part: number) => waiting.length > maxItems * part || bytes > maxBytes * part

  function add(item: Item): Promise<Result> {
    const weight = weigh(item)
    if (waiting.length >= maxItems || (bytes + weight > maxBytes && waiting.length > 0)) {
      return Promise.reject(
        new AppError('unavailable', 'Too many deliveries are waiting to be stored; send this one again'),
      )
    }
    bytes += weight
    return new Promise((resolve, reject) => {
      waiting.push({ item, weight, resolve, reject })
      crowded ||= isFilled(CROWDED)
      if (isDue(lanes - free.length)) start()
    })
  }

  /** Whether what waits is to be committed now, beside so many commits. */
  const isDue = (beside: number) => waiting.length > 0 && (beside === 0 || waiting.length >= leastBeside)

  function start(): void {
    const lane = free.shift()
    if (lane === undefined) return
    const run = work(lane).finally(() => void running.delete(run))
    running.add(run)
  }

  async function work(lane: number): Promise<void> {
    // Everything that the sockets hold right now is read before the check phase: one commit takes it all.
    await new Promise((resolve) => setImmediate(resolve))
    while (isDue(lanes - free.length - 1)) {
      if (gatherMs > 0) await sleep(gatherMs)
      const group = waiting.splice(0, maxGroup)
      for (const { weight } of group) bytes -= weight
      crowded &&= isFilled(RELIEVED)
      await settle(group, lane)
    }
    free.unshift(lane)
  }

  async function settle(group: Waiting<Item, Result>[], lane: number): Promise<void> {
    try {
      const results = await commit(
        group.map(({ item }) => item),
        lane,
      )
      group.forEach(({ resolve, reject }, index) => {
        const result = results[index]
        if (result === undefined) reject(new Error('the commit did not answer for this item'))
        else resolve(result)
      })
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }

  async function drained(): Promise<void> {
    while (running.size > 0) await Promise.all(running)
  }

  return { add, queued: () => waiting.length, isCrowded: () => crowded, drained }
}
