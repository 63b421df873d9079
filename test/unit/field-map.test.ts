import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { AppError } from '../../src/core/errors.ts'
import { applyMapped, compileFieldMap, type Mapped } from '../../src/core/field-map.ts'
import type { TicketDraft } from '../../src/core/ticket.ts'

const DRAFT: TicketDraft = {
  platform: 'acme',
  account: '',
  externalId: 'old',
  title: 'old title',
  description: 'old description',
  category: 'old',
  priority: 'low',
  status: 'open',
  userId: 'u',
  userEmail: 'old@acme.example',
  metadata: { platform: 'acme', external_id: 'old', full_title: 'old', original_priority: 'P7', note: 1 },
  sentUpdatedAt: 5,
  event: null,
}

const one = async (expression: string, payload: unknown, headers = {}) =>
  (await compileFieldMap({ description: expression }).evaluate(payload, headers)).description

const fault = (work: () => unknown) => {
  try {
    work()
  } catch (error) {
    if (error instanceof AppError) return error.message
    throw error
  }
  return null
}

const faultOf = (expression: string, payload: unknown) =>
  one(expression, payload).then(
    () => null,
    (error: unknown) => (error instanceof AppError ? error.message : expect.fail(String(error))),
  )

describe('a field map', () => {
  test.each([
    ['a.b', { a: { b: 'x' } }, 'x'],
    ['$uppercase(a)', { a: 'x' }, 'X'],
    ['lines.text', { lines: [{ text: 'a' }, { text: 'b' }] }, ['a', 'b']],
    ['nothing.here', {}, undefined],
    ['null', {}, null],
    ['level > 3 ? "high" : "low"', { level: 4 }, 'high'],
    ['$headers.`x-team`', {}, 'blue'],
    ['$replace(a, /(\\d+)-(\\d+)/i, "$2/$1")', { a: '12-34 56-78' }, '34/12 78/56'],
    ['$match(a, /b./).match', { a: 'ba bb' }, ['ba', 'bb']],
    ['$split(a, /,\\s*/)', { a: 'x, y,z' }, ['x', 'y', 'z']],
    ['$contains(a, /^B$/im)', { a: 'a\nb' }, true],
    ['$distinct(a)', { a: [1, '1', 1, { b: 1 }, { b: 1 }, 2] }, [1, '1', { b: 1 }, 2]],
    ['$pad(a, 3, "-") & $pad(a, -3)', { a: 'x' }, 'x--  x'],
    ['constructor', {}, undefined],
    ['__proto__', {}, undefined],
  ])('%s', async (expression, payload, expected) => {
    expect(await one(expression, payload, { 'x-team': 'blue' })).toEqual(expected)
  })

  test('yields data alone, whatever the payload’s own prototype', async () => {
    const payload = Object.assign(Object.create(null), { a: [{ b: 1 }, { b: 2 }] })
    const value = await one('a.b', payload)
    expect(Object.getOwnPropertyNames(value)).toEqual(['0', '1', 'length'])
    const planted = await one('{"__proto__": {"polluted": true}, "a": 1}', {})
    expect(planted).toMatchObject({ a: 1 })
    expect(({} as Record<string, unknown>)['polluted']).toBe(undefined)
  })

  test.each([
    ['a.b[', /title: .*character/],
    ['$eval("1")', /\$eval is not available/],
    ['$now()', /same each time/],
    ['($f := $random; $f())', /\$random is not available/],
    ['[1..10]', /ranges/],
    ['$match(a, /(?=a)/)', /RE2/],
    ['$match(a, /(a)\\1/)', /RE2/],
  ])('with %s is refused before any payload comes', (expression, message) => {
    expect(fault(() => compileFieldMap({ title: expression }))).toMatch(message)
  })

  test('with several faults names them all', () => {
    expect(fault(() => compileFieldMap({ title: 'a[', category: '$now()' }))).toMatch(
      /2 fields.*field_map\.title, field_map\.category/,
    )
  })

  const big = { words: 'a'.repeat(200_000), list: Array.from({ length: 20_000 }, (_, index) => index) }

  test.each([
    ['calls itself for ever', '($f := function($x){$f($x)}; $f(1))', /more than 20,000 steps/],
    ['calls itself ever deeper', '($f := function($x){1 + $f($x)}; $f(1))', /overflow/i],
    ['asks of each item about each', '$map(list, function($v){$map($$.list, function($w){$v*$w})})', /steps/],
    ['joins each with each', '$.list@$a.$$.list@$b.{"x":$a}', /steps/],
    ['doubles what it has', `$reduce([${'1,'.repeat(40)}1], function($a, $b){$string($a) & $string($a)})`, /too large/],
    ['makes a letter a thousand', `$replace(words, "a", "${'b'.repeat(1000)}")`, /too large/],
    ['makes a list of letters', '$split(words, "")', /too large/],
    ['pads without end', '$pad(words, 1e9)', /10,000 characters/],
    ['yields a function', 'function($x){$x}', /function/],
    ['adds words', '1 + words', /number/],
  ])('that %s ends with a sentence', async (_name, expression, message) => {
    expect(await faultOf(expression, big)).toMatch(/^Field map: description: /)
    expect(await faultOf(expression, big)).toMatch(message)
  })

  test('matches in time that grows with the text, whatever the pattern', async () => {
    for (const pattern of ['(a+)+$', '(a|a)*b', '(a*)*c', '^(\\w+\\s?)*$']) {
      expect(await one(`$contains(words, /${pattern}/)`, { words: `${'a'.repeat(50_000)}!` })).toBe(false)
    }
  })

  test('counts each payload’s steps for itself, also where many are worked at once', async () => {
    const map = compileFieldMap({ title: '$sum($map(list, function($v){$v}))' })
    const list = Array.from({ length: 2000 }, () => 1)
    const all = await Promise.all(Array.from({ length: 30 }, () => map.evaluate({ list }, {})))
    expect(new Set(all.map(({ title }) => title))).toEqual(new Set([2000]))
  })

  test('throws nothing but refusals and leaves the payload as it was, whatever that is', async () => {
    const maps = [
      compileFieldMap({ title: 'a.b.c', description: '$string(a)', category: '$keys($)[0]' }),
      compileFieldMap({
        title: '$join(**.a, ",")',
        priority: '$sum(a)',
        metadata: '$sift($, function($v){$exists($v)})',
      }),
      compileFieldMap({ title: '$ ~> |$|{"title": "x"}|', description: '$sort(a)', status: '$lookup(a, "b")' }),
    ]
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ maxDepth: 5 }), fc.constantFrom(...maps), async (a, map) => {
        const payload = { a }
        const before = JSON.stringify(payload)
        try {
          applyMapped(DRAFT, await map.evaluate(payload, {}))
        } catch (error) {
          expect(error).toBeInstanceOf(AppError)
        }
        expect(JSON.stringify(payload)).toBe(before)
      }),
      { numRuns: 300 },
    )
  })
})

describe('what a map yields, laid over the platform’s draft', () => {
  const cases: [Mapped, Partial<TicketDraft> & { metadata?: Record<string, unknown> }][] = [
    [{}, {}],
    [{ title: ' New\r\ntitle ' }, { title: 'New\ntitle', metadata: { full_title: undefined } }],
    [{ title: 'x'.repeat(600) }, { title: 'x'.repeat(500), metadata: { full_title: 'x'.repeat(600) } }],
    [{ description: ' ' }, { description: null }],
    [{ category: ' Billing ' }, { category: 'billing' }],
    [{ category: null }, { category: null }],
    [{ priority: 'P1' }, { priority: 'urgent', metadata: { original_priority: 'P1' } }],
    [{ priority: 'high' }, { priority: 'high', metadata: { original_priority: undefined } }],
    [{ priority: 'soonish' }, { priority: null, metadata: { original_priority: 'soonish', priority_unmapped: true } }],
    [{ status: 'Resolved' }, { status: 'resolved' }],
    [{ status: 'parked' }, { status: 'open', metadata: { original_status: 'parked' } }],
    [{ user_email: 'New@acme.example' }, { userEmail: 'New@acme.example' }],
    [{ user_email: 'nobody' }, { userEmail: null, metadata: { original_email: 'nobody' } }],
    [{ external_id: 7 }, { externalId: '7', metadata: { external_id: '7' } }],
    [{ account: 'eu' }, { account: 'eu' }],
    [{ updated_at: '2026-11-20T09:15:00Z' }, { sentUpdatedAt: Date.parse('2026-11-20T09:15:00Z') }],
    [
      { metadata: { team: 'blue', platform: 'forged', external_id: 'forged', note: 2 } },
      { metadata: { team: 'blue', platform: 'acme', external_id: 'old', note: 2 } },
    ],
  ]

  test.each(cases)('%j', (mapped, expected) => {
    const { metadata, ...fields } = applyMapped(DRAFT, mapped)
    const { metadata: notes = {}, ...own } = expected
    expect(fields).toEqual({ ...DRAFT, ...own, metadata: undefined })
    const all = { ...DRAFT.metadata, ...notes }
    expect(metadata).toEqual(JSON.parse(JSON.stringify(all)))
    expect(DRAFT.metadata['note']).toBe(1)
  })

  test.each<[Mapped, RegExp]>([
    [{ title: {} }, /title: it must yield text, not an object/],
    [{ category: ['a'] }, /category: it must yield text, not a list/],
    [{ category: 'x'.repeat(501) }, /category: it yields more than 500/],
    [{ metadata: 'x' }, /metadata: it must yield an object/],
    [{ metadata: { a: 'x'.repeat(300_000) } }, /256 KiB/],
    [{ title: null }, /title: it yields nothing/],
  ])('%j is refused', (mapped, message) => {
    expect(fault(() => applyMapped(DRAFT, mapped))).toMatch(message)
  })

  test('a scale says what a digit means', () => {
    expect(applyMapped(DRAFT, { priority: 1 }, { 1: 'urgent' }).priority).toBe('urgent')
  })
})
