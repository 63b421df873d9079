import { expect, test } from 'vitest'
import { createGroupCommit } from '../../src/store/group-commit.ts'

/** A queue whose commits end when the test says so. */
function controlled(limits: { maxItems?: number; maxBytes?: number; maxGroup?: number; gatherMs?: number } = {}) {
  const groups: number[][] = []
  const gates: ((error?: Error) => void)[] = []
  const queue = createGroupCommit<number, number>({
    commit: (group) => {
      groups.push(group)
      return new Promise((resolve, reject) => {
        gates.push((error) => (error === undefined ? resolve(group.map((item) => item * 10)) : reject(error)))
      })
    },
    weigh: (item) => item,
    maxItems: limits.maxItems ?? 100,
    maxBytes: limits.maxBytes ?? 1000,
    maxGroup: limits.maxGroup ?? 100,
    gatherMs: limits.gatherMs ?? 0,
  })
  return { queue, groups, gates }
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
