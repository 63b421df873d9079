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
 * wait, and there is no timer, unless `gatherMs` says how long a group is to gather. `commit` gets a group and answers for each item of it, in order; when it throws, the
 * whole group is refused. A full queue refuses with `unavailable`.
 */
export function createGroupCommit<Item, Result>(options: {
  commit: (group: Item[]) => Result[] | Promise<Result[]>
  /** The size of an item in bytes, about. */
  weigh: (item: Item) => number
  maxItems: number
  maxBytes: number
  maxGroup: number
  gatherMs?: number
}): GroupCommit<Item, Result> {
  const { commit, weigh, maxItems, maxBytes, maxGroup, gatherMs = 0 } = options
  let waiting: Waiting<Item, Result>[] = []
  let bytes = 0
  let running: Promise<void> | null = null
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
      running ??= run()
    })
  }

  async function run(): Promise<void> {
    // Everything that the sockets hold right now is read before the check phase: one commit takes it all.
    await new Promise((resolve) => setImmediate(resolve))
    while (waiting.length > 0) {
      if (gatherMs > 0) await sleep(gatherMs)
      const group = waiting.splice(0, maxGroup)
      for (const { weight } of group) bytes -= weight
      crowded &&= isFilled(RELIEVED)
      await settle(group)
    }
    running = null
  }

  async function settle(group: Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await commit(group.map(({ item }) => item))
      group.forEach(({ resolve, reject }, index) => {
        const result = results[index]
        if (result === undefined) reject(new Error('the commit did not answer for this item'))
        else resolve(result)
      })
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }

  return { add, queued: () => waiting.length, isCrowded: () => crowded, drained: async () => void (await running) }
}
