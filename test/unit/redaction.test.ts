import { createHmac } from 'node:crypto'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { AppError } from '../../src/core/errors.ts'
import { compileRedaction, REDACTION_KINDS, type RedactionRule, RedactionRules } from '../../src/core/redaction.ts'
import type { TicketDraft } from '../../src/core/ticket.ts'
import { threadMs } from '../thread-time.ts'

const keyed = (text: string) => createHmac('sha256', 'a key').update(text).digest('hex')

const rule = (kind: 'email' | 'phone' | 'card' | 'iban', scope: RedactionRule['scope'] = 'both') => ({ kind, scope })
const compiled = (rules: RedactionRule[]) => {
  const redaction = compileRedaction(rules, keyed)
  if (redaction === null) throw new Error('There is nothing to do')
  return redaction
}
const ALL = compiled([rule('email'), rule('phone'), rule('card'), rule('iban')])
const body = (text: string, type = 'application/json', redaction = ALL) =>
  redaction.body(Buffer.from(text), type).toString()

const CARD = '4111 1111 1111 1111'
const IBAN = 'DE89 3704 0044 0532 0130 00'

describe('what is found', () => {
  test.each([
    ['ann@example.com', '[email]'],
    ['Ann <ann.b+tag@mail.example.co.uk>, hi', 'Ann <[email]>, hi'],
    ["O'Brien: o'brien@example.ie.", "O'Brien: [email]."],
    ['mailto:ann@example.com?subject=x', 'mailto:[email]?subject=x'],
    ['user=ann@example.com&x', 'user=[email]&x'],
    ['büro@müller.example', '[email]'],
    ['用户@例子.公司', '[email]'],
    ['ann@xn--bcher-kva.example', '[email]'],
    ['/users/ann%40example.com/x', '/users/[email]/x'],
    ['a@b.example,c@d.example', '[email],[email]'],
    ['4111111111111111', '[card]'],
    [`card ${CARD}, ok`, 'card [card], ok'],
    ['4111-1111-1111-1111', '[card]'],
    ['5555555555554444', '[card]'],
    ['3782 822463 10005', '[card]'],
    ['378282246310005', '[card]'],
    ['6011111111111117', '[card]'],
    [`to ${IBAN} please`, 'to [iban] please'],
    ['de89370400440532013000', '[iban]'],
    ['GB82WEST12345698765432', '[iban]'],
    ['NL91 ABNA 0417 1643 00.', '[iban].'],
    ['+49 170 1234567', '[phone]'],
    ['+491701234567', '[phone]'],
    ['+49 (0)89 12 34-56', '[phone]'],
    ['+1 (555) 123-4567', '[phone]'],
    ['call +44 20 7946 0958.', 'call [phone].'],
    ['0049 89 1234567', '[phone]'],
    ['(555) 123-4567', '[phone]'],
    ['555-123-4567', '[phone]'],
    ['1-555-123-4567', '[phone]'],
    ['Tel.: 089 / 1234567', 'Tel.: [phone]'],
    ['020 7946 0958', '[phone]'],
    ['0170-1234567', '[phone]'],
    ['01 23 45 67 89', '[phone]'],
    ['(089) 1234567', '[phone]'],
  ])('%s', (text, expected) => {
    expect(ALL.rawText(text)).toBe(expected)
  })

  test.each([
    '@ann and a@b, user@localhost, x@1.2.3',
    'icon@2x.png',
    'lodash@4.17.21',
    '4111111111111112',
    '0000000000000000',
    '1763630080123',
    '1763630080123456',
    'id 41111111111111110000001',
    '0.4111111111111111',
    'DE89370400440532013001',
    'DE8937040044053201300',
    'XX00 and 12 words that are no account at all',
    '2026-11-24',
    '24/11/2026 09:14',
    '05-11-2026 10:30:00',
    '2026-11-24T09:14:40.123+01:00',
    '1763630080',
    '550e8400-e29b-41d4-a716-446655440000',
    '01234567-0123-0123-0123-012345678901',
    '192.168.100.200',
    '10.0.0.1:8080',
    '2001:db8::1',
    'v1.22.333-4444',
    'order 0012345678',
    'order 028-1234567-1234567',
    'ticket #100200300',
    'SUP-512',
    '1,234,567.89',
    '12 + 345 = 357',
  ])('%s is left', (text) => {
    expect(ALL.rawText(text)).toBe(text)
  })
})

describe('a body', () => {
  test('is the same Buffer when nothing was found', () => {
    const bytes = Buffer.from('{"title": "Printer on fire", "id": 7}')
    expect(ALL.body(bytes, 'application/json')).toBe(bytes)
  })

  test.each([
    ['{ "a" : "ann@example.com" , "n":1.50 }', '{ "a" : "[email]" , "n":1.50 }'],
    ['{"a":"user\\u0040example.com","b":"\\u00e9\\/"}', '{"a":"[email]","b":"\\u00e9\\/"}'],
    ['{"card":4111111111111111}', '{"card":"[card]"}'],
    ['[4111111111111111, -1e5]', '["[card]", -1e5]'],
    ['{"ann@example.com":1,"bob@example.com":2}', '{"[email]":1,"[email] 2":2}'],
    ['{"p":"{\\"e\\":\\"ann\\\\u0040example.com\\"}"}', '{"p":"{\\"e\\":\\"[email]\\"}"}'],
    ['"ann@example.com"', '"[email]"'],
    ['{"a":"ann@example.com', '{"a":"[email]'],
    ['{a: ann@example.com}', '{a: [email]}'],
    ['\u{FEFF}{"a":"ann@example.com"}', '\u{FEFF}{"a":"[email]"}'],
    ['{"Message-Id":"<1@example.com>"}', '{"Message-Id":"<1@example.com>"}'],
    ['{"h":[["Message-Id","<1@example.com>"],["From","<a@example.com>"]]}', null],
  ])('of JSON: %s', (text, expected) => {
    const kept = body(text)
    expect(kept).toBe(expected ?? '{"h":[["Message-Id","<1@example.com>"],["From","<[email]>"]]}')
  })

  test.each([
    ['a=ann%40example.com&b=x+y', 'a=%5Bemail%5D&b=x+y'],
    ['a=x+ann@example.com', 'a=x+%5Bemail%5D'],
    ['ann%40example.com=1', '%5Bemail%5D=1'],
    [`c=${encodeURIComponent(CARD)}`, 'c=%5Bcard%5D'],
    ['payload=%7B%22a%22%3A%22ann%5Cu0040example.com%22%7D', 'payload=%7B%22a%22%3A%22%5Bemail%5D%22%7D'],
    ['bad=%zz&a=ann%40example.com', 'bad=%zz&a=%5Bemail%5D'],
    ['{"a":"ann@example.com"}', '{"a":"[email]"}'],
  ])('of a form: %s', (text, expected) => {
    expect(body(text, 'application/x-www-form-urlencoded')).toBe(expected)
  })

  test('of several parts, without what is base64', () => {
    const part = (text: string) => `--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n${text}\r\n`
    const encoded = Buffer.from('ann@example.com').toString('base64')
    expect(body(`${part('ann@example.com')}${part(encoded)}--b--`, 'multipart/form-data; boundary=b')).toBe(
      `${part('[email]')}${part(encoded)}--b--`,
    )
  })

  test('of a mail keeps what identifies it', () => {
    const mail =
      'Message-ID: <1@example.com>\r\nReferences: <a@example.com>\r\n <b@example.com>\r\nFrom: <c@example.com>'
    expect(body(mail, 'message/rfc822')).toBe(mail.replace('c@example.com', '[email]'))
  })

  test('of no charset is read byte for byte', () => {
    const kept = ALL.body(Buffer.from('\xff ann@example.com \xfe', 'latin1'), 'text/plain')
    expect(kept.toString('latin1')).toBe('\xff [email] \xfe')
  })

  test('a query is read as a form', () => {
    expect(ALL.rawText('/hook?e=ann%40example.com&x=1')).toBe('/hook?e=%5Bemail%5D&x=1')
  })

  test('of great depth is read without recursion', () => {
    const deep = `${'['.repeat(200_000)}"ann@example.com"${']'.repeat(200_000)}`
    expect(body(deep)).toBe(deep.replace('ann@example.com', '[email]'))
  })
})

const DRAFT: TicketDraft = {
  platform: 'flat',
  account: '',
  externalId: '7',
  title: `Pay ${IBAN}`,
  description: `My card ${CARD}`,
  category: 'billing',
  priority: null,
  status: null,
  userId: 'ann@example.com',
  userEmail: 'ann@example.com',
  sentUpdatedAt: null,
  metadata: {
    platform: 'flat',
    external_id: '7',
    full_title: 'ann@example.com',
    unmapped: { 'bob@example.com': ['call +49 170 1234567', 4_111_111_111_111_111, null, true] },
  },
  event: {
    kind: 'commented',
    comment: {
      id: 'c',
      body: 'ann@example.com',
      public: true,
      author: 'ann@example.com',
      author_id: '1',
      by_staff: null,
    },
    standIn: { title: 'ann@example.com', description: 'ann@example.com' },
    reply: null,
  },
}

describe('a draft', () => {
  test('holds nothing of it any more', () => {
    expect(ALL.draft(DRAFT)).toStrictEqual({
      ...DRAFT,
      title: 'Pay [iban]',
      description: 'My card [card]',
      userId: '[email]',
      userEmail: null,
      metadata: {
        platform: 'flat',
        external_id: '7',
        full_title: '[email]',
        unmapped: { '[email]': ['call [phone]', '[card]', null, true] },
      },
      event: {
        kind: 'commented',
        comment: { id: 'c', body: '[email]', public: true, author: '[email]', author_id: '1', by_staff: null },
        standIn: { title: '[email]', description: '[email]' },
        reply: null,
      },
    })
  })

  test('may have nothing in it', () => {
    const empty = {
      ...DRAFT,
      externalId: null,
      title: null,
      description: null,
      userId: null,
      userEmail: null,
      event: null,
    }
    expect(ALL.draft({ ...empty, metadata: {} })).toStrictEqual({ ...empty, metadata: {} })
  })

  test('keeps the id of a mail, which only looks like an address', () => {
    const id = '<1@mail.example.com>'
    const comment = { id, body: 'x', public: true, author: null, author_id: null, by_staff: null }
    const standIn = { title: 't', description: 'd' }
    const mail: TicketDraft = {
      ...DRAFT,
      platform: 'email',
      externalId: id,
      metadata: { platform: 'email', external_id: id, in_reply_to: '<0@mail.example.com>' },
      event: { kind: 'created', comment: null, standIn, reply: { to: ['<0@mail.example.com>'], comment } },
    }
    const kept = ALL.draft(mail)
    expect([kept.externalId, kept.metadata, kept.event]).toStrictEqual([id, mail.metadata, mail.event])
  })

  test('two ids stay two, one stays one, and the body gives the same', () => {
    const kept = (externalId: string) => ALL.draft({ ...DRAFT, externalId, metadata: { external_id: externalId } })
    const [ann, again, bob] = [kept('ann@example.com'), kept('ann@example.com'), kept('bob@example.com')]
    expect(ann.externalId).toMatch(/^\[email-[a-z]{12}\]$/)
    expect(again.externalId).toBe(ann.externalId)
    expect(bob.externalId).not.toBe(ann.externalId)
    expect(ann.metadata['external_id']).toBe(ann.externalId)
    expect(JSON.parse(body('{"id":"ann@example.com"}'))).toStrictEqual({ id: ann.externalId })
  })

  test('a key named __proto__ stays data', () => {
    const metadata = JSON.parse('{"__proto__": {"a": "ann@example.com"}}') as Record<string, unknown>
    expect(JSON.stringify(ALL.draft({ ...DRAFT, metadata }).metadata)).toBe('{"__proto__":{"a":"[email]"}}')
  })
})

describe('rules', () => {
  test('of one scope leave the other alone', () => {
    const raw = compiled([rule('email', 'raw')])
    expect([raw.hasRaw, raw.hasTicket, raw.draft(DRAFT)]).toStrictEqual([true, false, DRAFT])
    const ticket = compiled([rule('email', 'ticket')])
    expect([ticket.hasRaw, ticket.rawText('ann@example.com')]).toStrictEqual([false, 'ann@example.com'])
    expect(ticket.draft(DRAFT).userEmail).toBeNull()
    expect(compileRedaction([], keyed)).toBeNull()
  })

  test('with a pattern of their own', () => {
    const own = compiled([
      { kind: 'pattern', scope: 'both', name: 'customer', pattern: 'CUST-\\d+' },
      { kind: 'pattern', scope: 'both', pattern: '\\bsecret \\w+' },
      rule('email'),
    ])
    expect(own.rawText('CUST-12 and secret word of ann@example.com')).toBe('[customer] and [pattern] of [email]')
    expect(
      body('{"n":12345678}', '', compiled([{ kind: 'pattern', scope: 'raw', name: 'n', pattern: '\\d{8}' }])),
    ).toBe('{"n":"[n]"}')
    const greedy = compiled([rule('email'), { kind: 'pattern', scope: 'raw', name: 'all', pattern: '.+' }])
    expect(greedy.rawText(greedy.rawText('from ann@example.com'))).toBe('[all]')
    const word = compiled([rule('email'), { kind: 'pattern', scope: 'raw', name: 'w', pattern: '[a-z]+' }])
    expect(word.rawText(word.rawText('ann@example.com x'))).toBe('[email] [w]')
  })

  test.each([
    ['(a)\\1', 'no back-references'],
    ['a(?=b)', 'no look-around'],
    ['[a', 'missing closing'],
    ['a*', 'at least one character'],
    ['(a{100}){100}', 'not available'],
  ])('%s is no pattern', (pattern, message) => {
    const compile = () => compileRedaction([{ kind: 'pattern', scope: 'raw', name: 'p', pattern }], keyed)
    expect(compile).toThrow(AppError)
    expect(compile).toThrow(message)
  })

  test.each([
    [[{ kind: 'email', scope: 'both' }], true],
    [
      REDACTION_KINDS.map((kind) =>
        kind === 'pattern' ? { kind, scope: 'raw', pattern: 'x' } : { kind, scope: 'raw' },
      ),
      true,
    ],
    [[{ kind: 'pattern', scope: 'raw' }], false],
    [[{ kind: 'email', scope: 'raw', pattern: 'x' }], false],
    [[{ kind: 'pattern', scope: 'raw', pattern: 'x'.repeat(501) }], false],
    [[{ kind: 'pattern', scope: 'raw', pattern: 'x', name: 'A B' }], false],
    [Array.from({ length: 51 }, () => ({ kind: 'email', scope: 'raw' })), false],
  ])('%#: as they are given', (rules, isValid) => {
    expect(RedactionRules.safeParse(rules).success).toBe(isValid)
  })
})

const planted = fc.constantFrom('ann.b+x@mail.example.com', CARD, '4111-1111-1111-1111', IBAN, '+49 170 1234567')
const tree = (leaf: fc.Arbitrary<unknown>) =>
  fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(fc.string({ maxLength: 6 }), tie('tree'), { maxKeys: 4 }),
    ),
  })).tree
const shape = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(shape)
  if (typeof value === 'object' && value !== null) return Object.values(value).map(shape)
  return '.'
}
const escaped = (json: string) =>
  json.replaceAll(/[@+ ]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)

test('whatever JSON comes, it stays JSON of the same shape, and nothing is found a second time', () => {
  fc.assert(
    fc.property(tree(fc.oneof(fc.string(), fc.double(), fc.constant(null), planted)), fc.nat(3), (value, indent) => {
      const json = JSON.stringify(value, null, indent)
      const kept = body(json)
      expect(shape(JSON.parse(kept))).toStrictEqual(shape(JSON.parse(json)))
      expect(body(kept)).toBe(kept)
    }),
    { numRuns: 500 },
  )
})

test('what is planted is never in the output, however it is written', () => {
  const around = fc.constantFrom('', ' ', '\n', '"', '<', ', ', '(', ': ')
  fc.assert(
    fc.property(planted, around, around, (secret, before, after) => {
      const text = `${before}${secret}${after}`
      const json = JSON.stringify({ a: [text], [text]: 1, b: JSON.stringify({ c: text }) })
      const form = new URLSearchParams({ a: text, [text]: '1', payload: JSON.stringify({ c: text }) }).toString()
      const decoded = [
        JSON.stringify(JSON.parse(body(json))),
        JSON.stringify(JSON.parse(body(json.includes('\\') ? json : escaped(json)))),
        decodeURIComponent(body(form, 'application/x-www-form-urlencoded').replaceAll('+', ' ')),
        body(`--b\r\n\r\n${text}\r\n--b--`, 'multipart/form-data; boundary=b'),
        body(text, 'text/plain'),
        JSON.stringify(ALL.draft({ ...DRAFT, title: text, metadata: { [text]: [text] } })),
      ]
      for (const one of decoded) expect(one).not.toContain(secret)
    }),
    { numRuns: 300 },
  )
})

describe('takes time in proportion to the body', { retry: 3 }, () => {
  const PIECES = ['1', '@', 'a@', 'a.', '+1 ', '4111 ', '01 ', '0-', '"\\u0040"', '\\', '"', '[', '{"a":', ' ', 'DE89 ']
  const MORE = [
    'DE89',
    '%40',
    'a%40',
    'a@b.',
    '(555) ',
    '555-',
    '[email]',
    'message-id:\n',
    'x: <a@b>',
    '&',
    'a=%40&',
    'é@',
  ]
  const redaction = compiled([
    rule('email'),
    rule('phone'),
    rule('card'),
    rule('iban'),
    { kind: 'pattern', scope: 'raw', name: 'p', pattern: '(a+)+\\d{3,20}x' },
  ])
  test.each([...PIECES, ...MORE])('%j', (piece) => {
    const time = (size: number, type: string, start: string) => {
      const bytes = Buffer.from(start + piece.repeat(Math.ceil(size / piece.length)))
      const runs = [0, 1].map(() => {
        const before = threadMs()
        redaction.body(bytes, type)
        return threadMs() - before
      })
      return Math.min(...runs)
    }
    for (const [type, start] of [
      ['text/plain', 'x'],
      ['application/json', '["'],
      ['application/x-www-form-urlencoded', ''],
    ]) {
      const long = time(240_000, type ?? '', start ?? '')
      // Quadratic work is 16 times as much, linear work 4; what is smaller measures the memory more than the work.
      if (long > 40) expect(long / time(60_000, type ?? '', start ?? '')).toBeLessThan(10)
    }
  })
})
