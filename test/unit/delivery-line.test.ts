import fc from 'fast-check'
import { pino, stdTimeFunctions } from 'pino'
import { expect, test } from 'vitest'

import { type DeliveryFacts, deliveryLine } from '../../src/http/delivery-line.ts'

/** The same line by the logger itself, at a time of its own. */
function byPino(facts: DeliveryFacts): string {
  let line = ''
  const stream = { write: (text: string) => void (line = text) }
  pino({ timestamp: stdTimeFunctions.isoTime, base: null }, stream).info(facts, 'delivery')
  return line
}

const withoutTime = (line: string) => line.replace(/"time":"[^"]+"/, '"time":""')

const created: DeliveryFacts = {
  outcome: 'created',
  ticket: 42,
  delivery: 43,
  status: 200,
  method: 'POST',
  path: '/api/integrations/webhook/shop',
  address: '::1',
  bytes: 1000,
  ms: 12.34,
  request_id: 'a',
}
const refused: DeliveryFacts = {
  outcome: 'rejected',
  reason: 'Body is "not" valid JSON: Unexpected token \n at 1',
  status: 400,
  method: 'PUT',
  path: '/api/integrations/webhook/sh"op',
  address: undefined,
  bytes: undefined,
  ms: 0,
  request_id: 'a:b',
}

test.each([created, refused, { ...created, ticket: null }])(
  'a delivery is logged as the logger would log it',
  (facts) => {
    expect(withoutTime(deliveryLine(facts, Date.now()))).toBe(withoutTime(byPino(facts)))
    expect(deliveryLine(facts, Date.UTC(2026, 10, 30))).toContain('"time":"2026-11-30T00:00:00.000Z"')
  },
)

test('whatever a sender put into it, it stays one line of JSON with the same facts', () => {
  const text = fc.oneof(
    fc.string(),
    fc.constantFrom('a"b', 'new\nline', '\u2028', '\ud800', '\\', '\u0000', '","level":60'),
  )
  fc.assert(
    fc.property(text, text, text, (reason, path, address) => {
      const facts = { ...refused, reason, path, address }
      const line = deliveryLine(facts, 0)
      expect(line.endsWith('}\n')).toBe(true)
      expect(line.slice(0, -1)).not.toMatch(/[\n\r]/)
      expect(JSON.parse(line)).toMatchObject({ level: 30, msg: 'delivery', reason, path, address })
    }),
    { numRuns: 200 },
  )
})
