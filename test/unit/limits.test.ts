import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { take } from '../../src/core/rate.ts'
import { createLimits } from '../../src/intake/limits.ts'
import { shareLimits } from '../../src/intake/shared-limits.ts'

describe('a rate', () => {
  const rate = { quota: 10, windowMs: 1000 }

  test('lets a burst of its quota pass, then one after the other', () => {
    let due: number | undefined
    const ask = (now: number) => {
      const taken = take(due, rate, now)
      due = taken.due
      return taken.waitMs
    }
    expect(Array.from({ length: 12 }, () => ask(0))).toEqual([...Array(10).fill(0), 100, 100])
    expect(ask(100)).toBe(0)
    expect(ask(100)).toBe(100)
    expect(Array.from({ length: 10 }, () => ask(5000))).toEqual(Array(10).fill(0))
  })

  test('never lets more than its quota and one window’s worth pass, however they come', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(400), { maxLength: 300 }), (gaps) => {
        let [due, now, passed]: [number | undefined, number, number] = [undefined, 0, 0]
        for (const gap of gaps) {
          now += gap
          const taken = take(due, rate, now)
          due = taken.due
          if (taken.waitMs === 0) passed += 1
        }
        expect(passed).toBeLessThanOrEqual(rate.quota * (1 + now / rate.windowMs))
      }),
    )
  })

  test('a clock that is put back locks nobody out', () => {
    const hours = 3_600_000
    let due: number | undefined
    for (let count = 0; count < 15; count += 1) due = take(due, rate, 10 * hours).due
    expect(take(due, rate, 10 * hours).waitMs).toBe(100)
    expect(take(due, rate, 0)).toEqual({ due: 100, waitMs: 0 })
    expect(take(due, rate, 9 * hours).waitMs).toBe(0)
    // Put back by less than the window, it makes nobody wait for longer than one more.
    expect(take(due, rate, 10 * hours - 99).waitMs).toBeLessThanOrEqual(200)
  })
})

describe('limits', () => {
  const perAddress = { quota: 2, windowMs: 60_000 }
  const passes = (limits: ReturnType<typeof createLimits>, address: string) => {
    try {
      limits.address(address, 0)
      return true
    } catch (error) {
      expect(error).toMatchObject({
        code: 'rate_limited',
        limit: { name: 'address', quota: 2, windowS: 60, retryAfterS: 30 },
      })
      return false
    }
  }

  test('count each address for itself, and a network of IPv6 as one', () => {
    const limits = createLimits({ perAddress, perKey: null })
    expect(['10.0.0.1', '10.0.0.1', '10.0.0.1', '10.0.0.2'].map((one) => passes(limits, one))).toEqual([
      true,
      true,
      false,
      true,
    ])
    const v6 = ['2001:db8::1', '2001:db8::2', '2001:db8:0:0:ffff::3', '2001:db8:0:1::1', '::ffff:10.0.0.1']
    expect(v6.map((one) => passes(limits, one))).toEqual([true, true, false, true, false])
  })

  test('a key has its own rate before the one for all', () => {
    const limits = createLimits({ perAddress: null, perKey: { quota: 1, windowMs: 1000 } })
    limits.key('a', null, 0)
    expect(() => limits.key('a', null, 0)).toThrow('Too many requests')
    const own = { quota: 3, windowMs: 1000 }
    for (let count = 0; count < 3; count += 1) limits.key('b', own, 0)
    expect(() => limits.key('b', own, 0)).toThrow('Too many requests')
  })

  test('an address is suspect after twenty failures within four seconds, and until they are forgotten', () => {
    const limits = createLimits({ perAddress: null, perKey: null })
    const isSuspect = (now: number) => limits.isSuspect('10.0.0.1', now)
    expect(isSuspect(0)).toBe(false)
    for (let count = 0; count < 20; count += 1) limits.failure('10.0.0.1', 0)
    expect(isSuspect(0)).toBe(false)
    limits.failure('10.0.0.1', 0)
    expect([isSuspect(0), isSuspect(199), isSuspect(200), limits.isSuspect('10.0.0.2', 0)]).toEqual([
      true,
      true,
      false,
      false,
    ])
    for (let count = 0; count < 279; count += 1) limits.failure('10.0.0.1', 0)
    // A clock that was put back says nothing of anybody.
    expect([isSuspect(55_000), isSuspect(57_000), isSuspect(-3_600_000)]).toEqual([true, false, false])
  })

  test('remember a hundred thousand senders and no more', () => {
    const limits = createLimits({ perAddress: { quota: 1, windowMs: 1e9 }, perKey: null })
    const address = (index: number) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`
    for (let index = 0; index < 100_001; index += 1) limits.address(address(index), 0)
    expect(() => limits.address(address(100_000), 0)).toThrow('Too many requests')
    expect(() => limits.address(address(0), 0)).not.toThrow()
  })
})

describe('limits of several nodes', () => {
  const rate = { quota: 10, windowMs: 60_000 }
  const node = () => createLimits({ perAddress: null, perKey: rate, isShared: true })
  const pass = (limits: ReturnType<typeof node>, now: number) => {
    try {
      limits.key('a', null, now)
      return true
    } catch {
      return false
    }
  }

  test('are one: what passed at one counts at the other, and what was refused does not', () => {
    const [one, other] = [node(), node()]
    for (let count = 0; count < 15; count += 1) pass(one, 1000)
    const told = one.drain()
    expect(told).toEqual([{ limiter: 'key', sender: 'a', rate, count: 10 }])
    for (const passed of told) other.add(passed, 1000)
    expect(pass(other, 1000)).toBe(false)
    expect(pass(other, 1000 + 2 * (rate.windowMs / rate.quota))).toBe(true)
    expect(one.drain()).toEqual([])
  })

  test('tell over a bus what passed, and hear nothing of themselves', async () => {
    const listeners = new Set<(message: string | null) => void>()
    let messages = 0
    const bus = {
      publish: async (_topic: string, message = '') => {
        messages += 1
        for (const listener of listeners) listener(message)
      },
      subscribe: (_topic: string, listener: (message: string | null) => void) => {
        listeners.add(listener)
        return () => void listeners.delete(listener)
      },
    }
    const [one, other] = [node(), node()]
    const stops = [shareLimits(one, bus, 'one'), shareLimits(other, bus, 'other')]
    const now = Date.now()
    for (let count = 0; count < 8; count += 1) expect(pass(one, now)).toBe(true)
    await expect.poll(() => messages, { timeout: 30_000 }).toBe(1)
    // Ten pass in all. Had it heard itself, its own eight would be sixteen.
    const later = Date.now()
    expect(pass(one, later)).toBe(true)
    expect([1, 2, 3].map(() => pass(other, later))).toEqual([true, true, false])
    for (const stop of stops) stop()
    expect(listeners.size).toBe(0)
  })
})
