import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseJson } from '../../src/core/json.ts'
import { applyChange, applyDraft, newTicket } from '../../src/core/merge.ts'
import { priorityFrom } from '../../src/core/priority.ts'
import { cleanText, clip, isEmail, wellFormed } from '../../src/core/text.ts'
import { ticketJson } from '../../src/core/ticket.ts'
import { draft } from '../contract/store.ts'

describe('text', () => {
  test('is never cut inside a character, and never longer than the limit', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.integer({ min: 1, max: 40 }), (text, limit) => {
        const cut = clip(text, limit)
        expect(cut.length).toBeLessThanOrEqual(limit)
        expect(text.startsWith(cut)).toBe(true)
        expect(cut.isWellFormed()).toBe(true)
      }),
    )
  })

  test('a pile of combining marks longer than the limit is cut all the same', () => {
    expect(clip(`a${'\u0301'.repeat(2000)}`, 500)).toHaveLength(500)
  })

  test('is well-formed whatever came in', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(wellFormed(text).isWellFormed()).toBe(true)
        expect(wellFormed(text)).not.toContain('\0')
        expect(cleanText(text)).not.toContain('\r')
      }),
    )
  })

  test.each(['a@b.example', 'ünï@bücher.example', 'a.b+c@x-y.co.uk'])('%s is an e-mail address', (text) => {
    expect(isEmail(text)).toBe(true)
  })

  test.each([
    '',
    'a',
    'a@',
    '@b.c',
    'a@b',
    'a@@b.c',
    'a b@c.d',
    'a@b..c',
    `${'a'.repeat(65)}@b.c`,
    `a@${'b'.repeat(320)}.c`,
  ])('%j is none', (text) => {
    expect(isEmail(text)).toBe(false)
  })
})

describe('priority', () => {
  test('reads words of any case, with a number before them', () => {
    expect(['HIGH', '3 high', '1 - Critical', ' Normal '].map((word) => priorityFrom(word))).toEqual([
      'high',
      'high',
      'urgent',
      'medium',
    ])
  })

  test('makes nothing of a bare digit or an unknown word', () => {
    expect(['1', '4', '', 'soon', 'toString', '__proto__'].map((word) => priorityFrom(word))).toEqual(
      Array(6).fill(null),
    )
  })
})

describe('JSON', () => {
  test('is what JSON.parse reads, wherever that loses nothing', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const text = JSON.stringify(value)
        fc.pre(!text.includes('\\u0000')) // NUL is replaced, on purpose
        expect(parseJson(text)).toEqual(JSON.parse(text))
      }),
    )
  })

  test.each([
    ['9007199254740993', '9007199254740993'],
    ['-9007199254740993', '-9007199254740993'],
    ['1e400', '1e400'],
    ['12345678901234567890123', '12345678901234567890123'],
    ['9007199254740991', 9007199254740991],
    ['0.1234567890123456', 0.1234567890123456],
    ['1e3', 1000],
  ])('%s keeps its digits', (text, expected) => {
    expect(parseJson(`{"a":[${text}]}`)).toEqual({ a: [expected] })
  })

  test.each([
    ['', 'empty'],
    ['{"a":1', 'position 6'],
    ['{"a":"b"c"}', 'escape'],
    ['[1,]', 'not valid JSON'],
  ])('%j is refused and says why', (text, reason) => {
    expect(() => parseJson(text)).toThrow(reason)
  })

  const entry = (name: string) => `${JSON.stringify(name)} \n: 1`
  const names = (count: number, prefix: string) => Array.from({ length: count }, (_, index) => prefix + index)
  const nested = (of: string[]) => `[${of.map((name) => `{${entry(name)}}`).join(',')}]`

  test.each([
    ['in one object', (of: string[]) => `{${of.map(entry).join(',')}}`],
    ['in an object each', nested],
  ])('of names there are 5,000 at most, %s', (_, write) => {
    // Quotes, backslashes and colons of its own must neither hide a name nor make one.
    for (const prefix of ['a long enough name ', '\\', '"', '\\":', '":"']) {
      const most = names(5000, prefix.padEnd(10, '-'))
      expect(() => parseJson(write(most))).not.toThrow()
      expect(() => parseJson(write([...most, 'one']))).toThrow('more than 5000 different field names')
    }
  })

  test('the same names again, and what looks like a name in a text, count for nothing', () => {
    const texts = names(6000, '"name": \\" :')
    expect(parseJson(JSON.stringify(texts))).toEqual(texts)
    expect(parseJson(nested(Array.from({ length: 40_000 }, () => 'same')))).toHaveLength(40_000)
  })

  test('a text that breaks off anywhere is refused as what it is', () => {
    const whole = `{${names(5000, 'name \\"').map(entry).join(',')}`
    for (const end of [whole.length, whole.length - 3, whole.length - 8, whole.length - 10]) {
      expect(() => parseJson(whole.slice(0, end))).toThrow('not valid JSON')
    }
  })
})

describe('merge', () => {
  const ticket = newTicket(1, draft({ priority: 'low', metadata: '{"full_title":"long","keep":1}' }), 1000)

  test('a new ticket has the defaults, and its JSON is its wire shape', () => {
    expect(JSON.parse(ticketJson(newTicket(7, draft(), 0)))).toEqual({
      id: 7,
      title: 'Printer on fire',
      description: 'It burns since nine.',
      category: 'general',
      priority: 'medium',
      status: 'new',
      user_id: null,
      user_email: null,
      ticket_metadata: {},
      created_at: '1970-01-01T00:00:00.000Z',
      updated_at: '1970-01-01T00:00:00.000Z',
      resolved_at: null,
    })
  })

  test('what belonged to the former text goes with it', () => {
    const { ticket: merged } = applyDraft(
      { ticket: ticket, said: {}, sentUpdatedAt: null },
      draft({ title: 'short' }),
      2000,
    )
    expect(merged).toMatchObject({ title: 'short', metadata: '{"keep":1}', updatedAt: 2000, createdAt: 1000 })
  })

  test('metadata does not grow for ever by updates', () => {
    const full = { ...ticket, metadata: JSON.stringify({ old: 'x'.repeat(1_000_000) }) }
    const update = draft({ metadata: JSON.stringify({ new: 'y'.repeat(100_000) }) })
    expect(
      Object.keys(
        JSON.parse(applyDraft({ ticket: full, said: {}, sentUpdatedAt: null }, update, 2000).ticket.metadata),
      ),
    ).toEqual(['new'])
  })

  test('nothing new changes nothing, not even the time', () => {
    const same = applyDraft(
      { ticket: ticket, said: {}, sentUpdatedAt: null },
      draft({ metadata: ticket.metadata }),
      2000,
    )
    expect(same.changes).toEqual({})
    expect(same.ticket.updatedAt).toBe(1000)
  })

  test("the sender's word is remembered from the first change by a person on", () => {
    const once = applyChange(ticket, {}, { priority: 'high' }, 2000)
    const twice = applyChange(once.ticket, once.said, { priority: 'urgent' }, 3000)
    expect(twice.said).toEqual({ priority: 'low' })
    expect(applyDraft({ ...twice, sentUpdatedAt: null }, draft({ priority: 'low' }), 4000).ticket.priority).toBe(
      'urgent',
    )
    const spoken = applyDraft({ ...twice, sentUpdatedAt: null }, draft({ priority: 'medium' }), 4000)
    expect([spoken.ticket.priority, spoken.said]).toEqual(['medium', {}])
  })
})

test('a whole number keeps the digits that its sender wrote, wherever it stands and however large', () => {
  const digits = fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n })
  fc.assert(
    fc.property(
      digits,
      fc.constantFrom('%', '[%]', '{"a":[{"b":%}]}', '{"a":1.5,"b":"12345678901234567890","c":%}'),
      (n, shape) => {
        const text = shape.replace('%', String(n))
        const written = JSON.stringify(parseJson(text)).replaceAll(/"(-?\d{16,})"/g, '$1')
        expect(written).toBe(text.replaceAll(/"(-?\d{16,})"/g, '$1'))
      },
    ),
  )
  expect(parseJson('{"a":1e400,"b":1e21,"c":0.1}')).toEqual({ a: '1e400', b: 1e21, c: 0.1 })
})
