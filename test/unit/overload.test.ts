import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { type Lap, lapsWithin, meanDelay, presses } from '../../src/core/overload.ts'
import { createGroupCommit } from '../../src/store/group-commit.ts'

const judged = (parts: number[]) => {
  let before = false
  return parts.map((part) => (before = presses(before, part)))
}

describe('what presses', () => {
  test('begins above its bound, and ends only when it is well below', () => {
    expect(judged([0.9, 1, 1.01, 0.99, 0.81, 0.8, 0.99, 1, 1.2])).toEqual([
      false,
      false,
      true,
      true,
      true,
      false,
      false,
      false,
      true,
    ])
    expect(judged([Infinity, 0])).toEqual([true, false])
  })

  test('never flaps on what swings by less than a fifth around its bound', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0.81, max: 1.19, noNaN: true }), { minLength: 1 }), (parts) => {
        const states = judged(parts)
        const turns = states.filter((state, index) => index > 0 && state !== states[index - 1]).length
        expect(turns).toBeLessThanOrEqual(1)
      }),
    )
  })
})

describe('the delay of the event loop', () => {
  const lap = (lateMs: number): Lap => ({ tookMs: 100 + lateMs, lateMs })
  const delayAfter = (lates: number[]) => meanDelay(lapsWithin(lates.map(lap), 1000))

  test('is what somebody would have met who came at any moment of the last second', () => {
    expect(meanDelay([])).toBe(0)
    expect(delayAfter(Array(30).fill(0))).toBe(0)
    // Honest load: 40 to 50 ms late each time is far from a second.
    expect(delayAfter(Array(30).fill(50))).toBeCloseTo(50)
    // Standing still for five seconds is not averaged away by the short laps beside it.
    expect(delayAfter([0, 0, 0, 5000])).toBe(5000)
    expect(delayAfter([5000, 0, 0, 0])).toBeGreaterThan(4000)
    // A second later it is forgotten.
    expect(delayAfter([5000, ...Array(10).fill(0)])).toBe(0)
    // Half a second of collecting garbage is no overload.
    expect(delayAfter([0, 0, 500, 0, 0])).toBeLessThan(500)
  })

  test('looks at a second of laps and no more, however long it has run', () => {
    expect(lapsWithin(Array(500).fill(lap(0)), 1000)).toHaveLength(10)
    expect(lapsWithin([lap(0), lap(9000)], 1000)).toEqual([lap(9000)])
  })
})

describe('a queue', () => {
  const gates: (() => void)[] = []
  const queue = createGroupCommit<number, number>({
    commit: (group) => new Promise((resolve) => gates.push(() => resolve(group))),
    weigh: (item) => item,
    maxItems: 10,
    maxBytes: 1000,
    maxGroup: 3,
  })
  const turn = () => new Promise((resolve) => setTimeout(resolve, 5))
  const commit = async () => {
    gates.shift()?.()
    await turn()
  }

  test('is crowded before it is full, and until it is well below', async () => {
    const added = Array.from({ length: 8 }, () => queue.add(1))
    expect(queue.isCrowded()).toBe(false)
    added.push(queue.add(1))
    expect(queue.isCrowded()).toBe(true)
    await turn()
    expect([queue.queued(), queue.isCrowded()]).toEqual([6, true])
    await commit()
    expect([queue.queued(), queue.isCrowded()]).toEqual([3, false])
    while (gates.length > 0) await commit()
    await Promise.all(added)
  })

  test('is crowded by its bytes too', async () => {
    const added = [queue.add(400), queue.add(401)]
    expect(queue.isCrowded()).toBe(true)
    await turn()
    expect(queue.isCrowded()).toBe(false)
    while (gates.length > 0) await commit()
    await Promise.all(added)
  })
})
