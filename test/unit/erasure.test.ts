import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createEraser, ERASED_TEXT, erasedChanges, erasedTicket, ticketWithout } from '../../src/core/erasure.ts'
import type { Ticket } from '../../src/core/ticket.ts'

const ADDRESS = 'ann.b@x-y.example'
const eraser = createEraser(' Ann.B@X-Y.example ')
const base64 = (text: string | Buffer) => Buffer.from(text).toString('base64')

const SPELLINGS: [string, string][] = [
  ['plain', ADDRESS],
  ['in another case', 'ANN.b@X-y.Example'],
  ['at the end of a sentence', `Ask ${ADDRESS}.`],
  ['in brackets', `Ann <${ADDRESS}>, Bob`],
  ['in quotes', `'${ADDRESS}'`],
  ['in JSON with an escape', String.raw`{"mail":"ann.b\u0040x-y.example"}`],
  ['in JSON in JSON', String.raw`"{\"mail\":\"ann.b\\u0040x-y.example\"}"`],
  ['after an escaped line end', String.raw`Hello\n${ADDRESS}`],
  ['in a query', 'a=1&mail=ann.b%40x-y.example&b=2'],
  ['in a query, after a space', 'q=by%20ann.b%40x-y.example'],
  ['in a query twice', 'next=%2F%3Fm%3Dann.b%2540x-y.example'],
  ['with each character escaped', [...ADDRESS].map((one) => `%${one.charCodeAt(0).toString(16)}`).join('')],
  ['as HTML', 'ann.b&#64;x-y.example'],
  ['as HTML in hex', 'ann.b&#x40;x-y&#46;example'],
  ['as HTML by name', 'ann.b&commat;x-y.example'],
  ['quoted-printable', 'mail=20ann.b=40x-y.example'],
  ['quoted-printable, folded', 'ann.b@x-=\r\ny.example'],
  ['in base64', base64(`Write to ${ADDRESS}!`)],
  ['in base64url', Buffer.from(`??>>${ADDRESS}`).toString('base64url')],
  ['in folded base64', base64(`${'x '.repeat(40)}${ADDRESS} ${'y'.repeat(40)}`).replaceAll(/(.{76})/g, '$1\r\n')],
  [
    'in base64 in JSON',
    JSON.stringify({ part: base64(`${'x '.repeat(40)}${ADDRESS}`).replaceAll(/(.{76})/g, '$1\r\n') }),
  ],
  ['in base64 in a form', `a=${encodeURIComponent(base64(`?>?>${ADDRESS}~~`))}`],
  ['in base64 in base64', base64(`--b\r\n\r\n${base64(`mail ${ADDRESS}`)}\r\n--b--`)],
  ['in base64 of UTF-16', base64(Buffer.from(`mail ${ADDRESS}`, 'utf16le'))],
  ['in UTF-16', Buffer.from(`mail ${ADDRESS}`, 'utf16le').toString('latin1')],
]

describe('the address is found and taken out', () => {
  test.each(SPELLINGS)('%s', (name, text) => {
    expect([eraser.mentions(text), eraser.isWithin(text)]).toEqual([true, true])
    if (name === 'in UTF-16') return // only ever a body, which goes as a whole
    const without = eraser.without(text)
    expect(without).toContain(ERASED_TEXT)
    expect([eraser.mentions(without), eraser.isWithin(without)]).toEqual([false, false])
  })

  test('wherever it stands, and what is around it stays', () => {
    const around = fc.string({ unit: fc.constantFrom(' ', ',', '"', '<', '\n', 'é', 'x', '@', '[', '😀', '0') })
    fc.assert(
      fc.property(around, around, (before, after) => {
        const text = `${before} ${ADDRESS} ${after}`
        expect(eraser.without(text)).toBe(`${before} ${ERASED_TEXT} ${after}`)
      }),
    )
  })
})

describe('another address is not', () => {
  test.each([
    ['that ends like it', `jo${ADDRESS}`, false],
    ['that begins like it', `${ADDRESS}.uk`, true],
    ['of a longer domain', `${ADDRESS}s`, false],
    ['with an accent before', `é${ADDRESS}`, false],
    ['with a hyphen before', `mary-${ADDRESS}`, true],
    ['with a tag before', `a+${ADDRESS}`, true],
    ['with another dot', 'annxb@x-y.example', false],
    ['in base64', base64(`mail jo${ADDRESS}`), false],
  ])('%s', (_name, text, isWithin) => {
    expect([eraser.mentions(text), eraser.isWithin(text)]).toEqual([false, isWithin])
    expect(eraser.without(text)).toBe(text)
    expect(eraser.without(text, true) === text).toBe(!isWithin)
  })

  test('in any text without it', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        expect(eraser.without(text)).toBe(text)
      }),
    )
  })
})

test('an address with characters of its own is found, and no part of it is a pattern', () => {
  const odd = createEraser("o'br.ien+(x)|[y]@dömain.example")
  expect(odd.mentions("To: O'BR.IEN+(X)|[Y]@DÖMAIN.example")).toBe(true)
  expect(odd.mentions(encodeURIComponent("o'br.ien+(x)|[y]@dömain.example"))).toBe(true)
  expect(odd.mentions("o'brxien+(x)|[y]@dömain.example")).toBe(false)
})

test('hostile text is searched in time that grows with its length alone', () => {
  const size = 50_000
  for (const unit of [
    'a',
    '=\r\n',
    '\\',
    '%25',
    '%',
    '&#0',
    'ann.b',
    'a%40',
    '@',
    'ann.b@x-y.exampl',
    '\\u0061',
    'AAAA\n',
  ]) {
    const time = (length: number) => {
      const text = unit.repeat(Math.ceil(length / unit.length))
      const started = performance.now()
      eraser.isWithin(text)
      eraser.without(text)
      return performance.now() - started
    }
    time(size)
    // Sixteen times as much would take 256 times as long if it were quadratic.
    expect(time(size * 16) / Math.max(time(size), 5)).toBeLessThan(120)
  }
})

const ticket: Ticket = {
  id: 1,
  title: `From ${ADDRESS}`,
  description: 'It leaks',
  category: 'billing',
  priority: 'high',
  status: 'open',
  userId: 'u1',
  userEmail: ADDRESS,
  metadata: JSON.stringify({ platform: 'shop', external_id: '7', unmapped: { name: 'Ann', mail: ADDRESS } }),
  createdAt: 1,
  updatedAt: 2,
  resolvedAt: null,
  merged: null,
}

test('of a ticket of the person stays that it was there, how it was sorted and which it is', () => {
  expect(erasedTicket(ticket, eraser)).toEqual({
    ...ticket,
    title: ERASED_TEXT,
    description: ERASED_TEXT,
    userId: null,
    userEmail: null,
    metadata: '{"platform":"shop","external_id":"7"}',
  })
  const named = {
    ...ticket,
    category: `vip-${ADDRESS}`,
    metadata: JSON.stringify({ platform: 'shop', external_id: `u-${ADDRESS}-1` }),
  }
  expect(erasedTicket(named, eraser)).toMatchObject({ category: `vip-${ERASED_TEXT}`, metadata: '{"platform":"shop"}' })
})

test('of a ticket of somebody else only the mention goes', () => {
  const others = { ...ticket, userEmail: `jo${ADDRESS}`, metadata: JSON.stringify({ cc: ADDRESS, n: 1 }) }
  expect(ticketWithout(others, eraser, false)).toEqual({
    ...others,
    title: `From ${ERASED_TEXT}`,
    metadata: JSON.stringify({ cc: ERASED_TEXT, n: 1 }),
  })
})

test('JSON stays JSON, whatever an escape in it looks like', () => {
  const nick = createEraser('nick@x.example')
  const json = JSON.stringify({
    text: 'line\nick@x.example',
    same: 'nick@x.example',
    'nick@x.example': [1, null, 'nick@x.example'],
  })
  const without = '{"text":"line\\nick@x.example","same":"[erased]","[erased]":[1,null,"[erased]"]}'
  expect(nick.withoutInJson(json)).toBe(without)
  const folded = JSON.stringify({ part: `a\n${base64(`${'x '.repeat(20)}nick@x.example`)}\n"b"`, n: 1 })
  expect(JSON.parse(nick.withoutInJson(folded))).toEqual({ part: expect.stringContaining('[erased]'), n: 1 })
  const others = '{ "kept" : "byte for byte" }'
  expect(nick.withoutInJson(others)).toBe(others)
})

test('on a timeline stays how the ticket was sorted', () => {
  const marker = { from: ERASED_TEXT, to: ERASED_TEXT }
  const changes = {
    status: { from: 'new', to: 'open' },
    category: { from: `of ${ADDRESS}`, to: 'x' },
    title: { from: 'a', to: 'b' },
    [`ticket_metadata.people.${ADDRESS}`]: { from: 1, to: 2 },
  }
  expect(erasedChanges(changes, eraser)).toEqual({
    status: changes.status,
    category: marker,
    title: marker,
    ticket_metadata: marker,
  })
})
