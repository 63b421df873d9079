import { expect, test } from 'vitest'

import { apart, asMerged, assertMergeable } from '../../src/core/merged.ts'
import type { Status, Ticket } from '../../src/core/ticket.ts'

const ticket = (id: number, over: Partial<Ticket> = {}): Ticket => ({
  id,
  title: 't',
  description: 'd',
  category: 'general',
  priority: 'medium',
  status: 'open',
  userId: null,
  userEmail: null,
  metadata: '{}',
  createdAt: 1,
  updatedAt: 1,
  resolvedAt: null,
  merged: null,
  ...over,
})
const range = (count: number) => Array.from({ length: count }, (_, index) => index + 10)

test('as many as 1,000 are merged into one, and a sentence names only some of those in the way', () => {
  const check = (behind: Parameters<typeof assertMergeable>[2]) => assertMergeable(ticket(1), ticket(2), behind)
  expect(() => check({ ticket: [], into: range(999) })).not.toThrow()
  expect(() => check({ ticket: [], into: range(1000) })).toThrow('1000 tickets are merged into 2 already')
  expect(() => check({ ticket: range(7), into: [] })).toThrow('(10, 11, 12, 13, 14 and 2 more); merge 2 into 1')
})

test('what is put under a merge and taken out again is what it was, whatever its status', () => {
  for (const [status, resolvedAt] of [
    ['new', null],
    ['pending', null],
    ['resolved', 5],
    ['closed', 5],
  ] as [Status, number | null][]) {
    const own = ticket(1, { status, resolvedAt, merged: { into: 2, at: 9, status } })
    const shown = asMerged(own)
    expect(shown).toMatchObject({ status: 'closed', resolvedAt: resolvedAt ?? 9 })
    expect(apart(shown)).toEqual(own)
  }
  expect(apart(ticket(1))).toEqual(asMerged(ticket(1)))
})
