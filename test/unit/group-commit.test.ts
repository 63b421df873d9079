import { expect, test } from 'vitest'
import { createGroupCommit } from '../../src/store/group-commit.ts'

/** A queue whose commits end when the test says so. */
type Limits = {
  maxItems?: number
  maxBytes?: number
  maxGroup?: number
  lanes?: number
  leastBeside?: number
  gatherMs?: number
}

function controlled(limits: Limits = {}) {
  const groups: number[][] = []
  const lanes: number[] = []
  const gates: ((error?: Error) => void)[] = []
  const queue = createGroupCommit<number, number>({
    ...limits,
    commit: (group, lane) => {
      groups.push(group)
      lanes.push(lane)
      return new Promise((resolve, reject) => {
        gates.push((error) => (error === undefined ? resolve(group.map((item) => item * 10)) : reject(error)))
      })
    },
    weigh: (item) => item,
    maxItems: limits.maxItems ?? 100,
    maxBytes: limits.maxBytes ?? 1000,
    maxGroup: limits.maxGroup ?? 100,
  })
  return { queue, groups, lanes, gates }
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 5))

test('what arrives together is one commit; what arrives meanwhile is the next', async () => {
  const { queue, groups, gates } = controlled()
  const first = [queue.add(1), queue.add(2)]
  await turn()
  const second = [queue.add(3), queue.add(4), queue.add(5)]
  await turn()
  expect(groups).toEqual([[1, 2]])
  gates[0]?.()
  expect(await Promise.all(first)).toEqual([10, 20])
  await turn()
  expect(groups).toEqual([
    [1, 2],
    [3, 4, 5],
  ])
  gates[1]?.()
  expect(await Promise.all(second)).toEqual([30, 40, 50])
})

test('a commit that fails refuses its own group and no other', async () => {
  const { queue, gates } = controlled()
  const first = queue.add(1)
  await turn()
  const second = queue.add(2)
  gates[0]?.(new Error('disk'))
  await expect(first).rejects.toThrow('disk')
  await turn()
  gates[1]?.()
  expect(await second).toBe(20)
})

test('a full queue refuses, by number and by bytes, and takes again when it has room', async () => {
  const { queue, gates } = controlled({ maxItems: 3, maxBytes: 10 })
  const taken = [queue.add(4), queue.add(5)]
  await expect(queue.add(6)).rejects.toMatchObject({ code: 'unavailable' })
  taken.push(queue.add(1))
  await expect(queue.add(0)).rejects.toMatchObject({ code: 'unavailable' })
  await turn()
  const later = queue.add(2)
  gates[0]?.()
  await turn()
  gates[1]?.()
  expect(await Promise.all([...taken, later])).toEqual([40, 50, 10, 20])
})

test('drained waits for all that was added', async () => {
  const { queue, gates } = controlled({ maxGroup: 1 })
  const added = [queue.add(1), queue.add(2)]
  let isDrained = false
  const drained = queue.drained().then(() => (isDrained = true))
  await turn()
  gates[0]?.()
  await turn()
  expect(isDrained).toBe(false)
  gates[1]?.()
  await drained
  expect(await Promise.all(added)).toEqual([10, 20])
})

test('beside a commit another begins only for enough, in a lane of its own; nothing is left behind', async () => {
  const { queue, groups, lanes, gates } = controlled({ lanes: 2, leastBeside: 3 })
  const all = [queue.add(1)]
  await turn()
  all.push(queue.add(2), queue.add(3))
  await turn()
  expect(groups).toEqual([[1]])
  all.push(queue.add(4))
  await turn()
  expect([groups, lanes]).toEqual([
    [[1], [2, 3, 4]],
    [0, 1],
  ])
  all.push(queue.add(5), queue.add(6), queue.add(7), queue.add(8))
  await turn()
  expect(groups).toHaveLength(2)
  // The lane that ends takes all of them; few that come meanwhile wait for the last lane that works.
  gates[1]?.()
  await turn()
  all.push(queue.add(9))
  gates[0]?.()
  await turn()
  expect([groups.slice(2), lanes.slice(2)]).toEqual([[[5, 6, 7, 8]], [1]])
  gates[2]?.()
  await turn()
  expect([groups.slice(3), lanes.slice(3)]).toEqual([[[9]], [1]])
  const drained = queue.drained()
  gates[3]?.()
  await drained
  expect(await Promise.all(all)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].map((item) => item * 10))
})

test('a group that is to gather takes what comes meanwhile, and is waited for at the end', async () => {
  const { queue, groups, gates } = controlled({ gatherMs: 50 })
  const added = [queue.add(1)]
  await turn()
  added.push(queue.add(2))
  await turn()
  expect(groups).toEqual([])
  await expect.poll(() => groups).toEqual([[1, 2]])
  const drained = queue.drained()
  gates[0]?.()
  await drained
  expect(await Promise.all(added)).toEqual([10, 20])
})
