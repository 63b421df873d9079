import { expect, test } from 'vitest'
import { readable } from '../../src/log.ts'

test('a line on a terminal is one line with each fact', () => {
  expect(
    readable({
      level: 30,
      time: 1,
      msg: 'delivery',
      outcome: 'rejected',
      status: 400,
      reason: 'not a ticket',
      ticket: null,
    }),
  ).toBe('delivery outcome=rejected status=400 reason="not a ticket"')
})

test('input can neither end the line nor move the cursor', () => {
  const line = readable({ msg: 'delivery', reason: 'a\n[00:00:00] INFO: forged\r\u001b[2J\u009b2J' })
  expect(line).not.toMatch(/\p{Cc}/u)
})

test('a fault of ours comes with its stack', () => {
  expect(
    readable({ msg: 'internal error', err: { type: 'Error', message: 'm', stack: 'Error: m\n    at here' } }),
  ).toBe('internal error\nError: m\n    at here')
})
