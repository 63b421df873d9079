import { expect, test } from 'vitest'

import { backoffMs, errorText, ticketIdOf } from '../../src/core/jobs.ts'

test('each failure makes a job wait longer, up to some hours, and none exactly as long as another', () => {
  const waits = [1, 2, 3, 9, 10, 11, 1000].map((attempts) => Math.round(backoffMs(attempts, 0.5) / 1000))
  expect(waits).toEqual([3, 7, 20, 8103, 22026, 22026, 22026])
  expect([backoffMs(1, 0), backoffMs(1, 1)]).toEqual([2175, 3262])
})

test.each([
  ['connect postgres://me:hunter2@db.example/x failed', 'connect postgres://…@db.example/x failed'],
  ['401 for Authorization: Bearer sk-abcdefghijklmnop', '401 for Authorization: … …'],
  ['bad key sk-ant-REDACTED', 'bad key sk_…'],
  ['{"api_key":"abc123def","n":1}', '{"api_key":"…","n":1}'],
  ['no such user ann.smith+x@mail.example.com', 'no such user …@…'],
  ['two\nlines\u0000and\u001B[31m red', 'two lines and [31m red'],
  ['half \uD800 a pair', 'half \uFFFD a pair'],
  ['', 'Error'],
])('%j is kept as %j', (message, kept) => {
  expect(errorText(new Error(message))).toBe(kept)
})

test('whatever is thrown has a text, and a long one is cut', () => {
  expect([errorText('no'), errorText(undefined), errorText('')]).toEqual(['no', 'undefined', 'Unknown error'])
  expect(errorText('🦄'.repeat(5000)).length).toBeLessThanOrEqual(500)
  expect(errorText('🦄'.repeat(5000)).isWellFormed()).toBe(true)
  const from = performance.now()
  errorText(`${'a'.repeat(1_000_000)}@`)
  expect(performance.now() - from).toBeLessThan(5000)
})

test('a payload is about the ticket that it names, where that is a number', () => {
  expect([{ ticket_id: 7 }, { ticket_id: '7' }, { ticket_id: 1e300 }, {}].map(ticketIdOf)).toEqual([
    7,
    null,
    null,
    null,
  ])
})
