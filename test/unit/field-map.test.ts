import { isDeepStrictEqual } from 'node:util'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { AppError } from '../../src/core/errors.ts'
import {
  applyMapped,
  compileFieldMap,
  type FieldMap,
  MAPPABLE,
  type MappableField,
  type Mapped,
} from '../../src/core/field-map.ts'
import type { TicketDraft } from '../../src/core/ticket.ts'

const evaluate = (map: FieldMap, payload: unknown, headers = {}) => compileFieldMap(map).evaluate(payload, headers)
const value = async (expression: string, payload: unknown = {}) =>
  (await evaluate({ metadata: expression }, payload))['metadata']
const refusal = (work: () => unknown): AppError => {
  try {
    work()
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('It was not refused')
}

const PAYLOAD = {
  id: 7,
  subject: 'Printer on fire',
  requester: { name: 'Ann', email: 'ann@example.com' },
  tags: ['vip', 'printer'],
  items: [
    { sku: 'A-1', count: 2 },
    { sku: 'B-2', count: 1 },
  ],
}

describe('an expression', () => {
  test.each([
    ['subject', 'Printer on fire'],
    ['requester.name & " <" & requester.email & ">"', 'Ann <ann@example.com>'],
    ['items.sku', ['A-1', 'B-2']],
    ['items[count > 1].sku', 'A-1'],
    ['$sum(items.count)', 3],
    ['$join(tags, ", ")', 'vip, printer'],
    ['"vip" in tags ? "high" : "low"', 'high'],
    ['{"name": requester.name, "skus": items.sku[]}', { name: 'Ann', skus: ['A-1', 'B-2'] }],
    ['$map(items, function($item, $at) { $at & ":" & $item.sku })', ['0:A-1', '1:B-2']],
    ['$map(tags, $uppercase)', ['VIP', 'PRINTER']],
    ['$map(tags, $pad(?, 4, "."))', ['vip.', 'printer']],
    ['items^(count).sku', ['B-2', 'A-1']],
    ['$distinct([1, 2, 1])', [1, 2]],
    ['$toMillis("24/11/2026 09:14", "[D]/[M]/[Y] [H]:[m]")', Date.UTC(2026, 10, 24, 9, 14)],
    ['$fromMillis(0, "[Y]-[M01]-[D01]")', '1970-01-01'],
    ['missing', undefined],
    ['null', null],
  ])('%s', async (expression, expected) => {
    expect(await value(expression, PAYLOAD)).toStrictEqual(expected)
  })

  test.each([
    ['$match("a1b22", /[0-9]+/).match', ['1', '22']],
    ['$match("ab", /(a)(x)?/).groups', ['a', null]],
    ['$replace("a-b-c", /-/, "+")', 'a+b+c'],
    ['$replace("a-b-c", /-/, "+", 1)', 'a+b-c'],
    ['$replace("John Smith", /(\\w+)\\s(\\w+)/, "$2, $1")', 'Smith, John'],
    ['$replace("265USD", /([0-9]+)USD/, function($m) { $m.groups[0] & "!" })', '265!'],
    ['$split("a, b;c", /[,;]\\s*/)', ['a', 'b', 'c']],
    ['$contains("HELLO", /hello/i)', true],
    ['$contains("HELLO", /hello/)', false],
    ['$match("one\ntwo", /^t\\w+$/m).index', 4],
    ['$contains("one\ntwo", /^t/)', false],
    ['$contains("a/b", /a\\/b/)', true],
    ['$match("é x", /\\p{L}|\\u0078/).match', ['é', 'x']],
  ])('%s matches as RE2 does', async (expression, expected) => {
    expect(await value(expression)).toStrictEqual(expected)
  })

  test('reads the headers in lower case', async () => {
    const map = { category: '$headers.`x-team`', account: '$headers.`x-many`[1]' }
    expect(await evaluate(map, {}, { 'x-team': 'Billing', 'x-many': ['a', 'b'] })).toStrictEqual({
      category: 'Billing',
      account: 'b',
    })
  })

  test('gives plain arrays, and leaves no mark on those of the payload', async () => {
    const payload = { tags: ['a'], list: [[1]] }
    const tags = (await value('tags[]', payload)) as unknown[]
    expect(Object.getOwnPropertyNames(tags)).toStrictEqual(['0', 'length'])
    expect(Object.getOwnPropertyNames(payload.tags)).toStrictEqual(['0', 'length'])
    await expect(value('tags()', { tags: { _jsonata_function: true } })).rejects.toThrow(AppError)
  })

  test('says nothing of a field that it has no value for, and null where it says so', async () => {
    expect(await evaluate({ title: 'a', category: 'b', account: 'null' }, { a: 'x' })).toStrictEqual({
      title: 'x',
      account: null,
    })
  })

  test('is evaluated many times at once without sharing what it may cost', async () => {
    const map = compileFieldMap({ title: '$count($map([1..2000], function($i) { $i + n }))' })
    const all = await Promise.all(Array.from({ length: 20 }, (_, n) => map.evaluate({ n }, {})))
    expect(all).toStrictEqual(Array.from({ length: 20 }, () => ({ title: 2000 })))
  })
})

describe('a map that does not compile', () => {
  test.each([
    ['subject & ', /^Field map: title: Unexpected end of expression \(at character \d+\)$/],
    ['(subject', /Expected "\)" before end of expression/],
    ['"a', /String literal must be terminated/],
    ['$now()', /\$now, which is not available: a map gives the same .* \(at character 4\)/],
    ['$millis()', /not available/],
    ['$random()', /not available/],
    ['$shuffle([1])', /not available/],
    ['$eval("1")', /not available/],
    ['($clone := function($o) { $o }; 1)', /not available/],
    ['$ ~> | $ | {"a": 1} |', /uses \| … \|, which is not available/],
    ['function($x)<a+a+a+:n> { 1 }', /types of a function/],
    ['$match(a, /(a)\\1/)', /no back-references/],
    ['$match(a, /a(?=b)/)', /no look-around/],
    ['$match(a, /(a{100}){9}/)', /too large/],
    [`"${'a'.repeat(4000)}"`, /longer than 4000 characters/],
    ['('.repeat(4000), /^Field map: title: /],
  ])('%.40s', (expression, expected) => {
    const error = refusal(() => compileFieldMap({ title: expression }))
    expect(error.code).toBe('malformed')
    expect(error.message).toMatch(expected)
  })

  test('names each faulty field', () => {
    const error = refusal(() => compileFieldMap({ title: '(', category: 'ok', status: '$now()' }))
    expect(error.errors.map(({ field }) => field)).toStrictEqual(['title', 'status'])
  })

  test('names every field that can be mapped', () => {
    const faulty = Object.fromEntries(MAPPABLE.map((field): [MappableField, string] => [field, '(']))
    expect(refusal(() => compileFieldMap(faulty)).errors.map(({ field }) => field)).toStrictEqual([...MAPPABLE])
  })

  test('names a field that no ticket has', () => {
    expect(refusal(() => compileFieldMap({ tittle: 'a' } as FieldMap)).message).toContain('tittle is no field')
  })
})

const long = 'a'.repeat(500_000)
const STEPS = /took too many steps/

describe('what an expression costs is bounded', () => {
  const grow = (step: string) =>
    `($grow := function($a, $n) { $n = 0 ? $a : $grow(${step}, $n - 1) }; $x := $grow(["x"], 60); $x)`
  const dag = '($g := function($a, $n) { $n = 0 ? $a : $g([[$a], [$a]], $n - 1) }; $a := $g([false], 15);'

  test.each([
    ['a loop', '($f := function($x) { $f($x) }; $f(1))', STEPS],
    ['a recursion', '($f := function($x) { 1 + $f($x) }; $f(1))', STEPS],
    ['a recursion that branches', '($f := function($x) { $f($x) & $f($x) }; $f(1))', STEPS],
    ['a padding', '$pad("", 1000000000)', STEPS],
    ['a padding of many characters', '$pad("", -200000, text)', STEPS],
    ['a range', '[1..10000000]', /more than 50000 values/],
    ['a text that doubles', '($f := function($s, $n) { $n = 0 ? $s : $f($s & $s, $n - 1) }; $f("x", 60))', STEPS],
    ['a text that doubles by $join', grow('[$join([$a[0], $a[0]])]'), STEPS],
    ['an array that doubles', grow('$append($a, $a)'), /more than 50000 values|too many steps|too large/],
    ['a nested array that doubles', grow('[[$a], [$a]]'), /too large/],
    ['an object that doubles', grow('{"l": $a, "r": $a}'), /too large/],
    ['a value of many references', '[1..2000].[$$.list]', /too large|too many steps/],
    ['a depth', '($f := function($a, $n) { $n = 0 ? $a : $f([[$a]], $n - 1) }; $f(1, 900))', /too deep/],
    ['comparing', `${dag} $map([1..3000], function() { $a = [$a] }))`, STEPS],
    ['asking whether', `${dag} $map([1..3000], function() { $a ? 1 : 2 }))`, STEPS],
    ['joining objects', '$map([1..3000], function() { list & "" })', STEPS],
    ['$string', '$map([1..3000], function() { $string(list) })', STEPS],
    ['$length', '$map([1..3000], function() { $length(text) })', STEPS],
    ['$replace by a long text', '$replace(text, "a", text)', STEPS],
    ['$replace by what was found', '$replace(text, /a+/, "$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0")', STEPS],
    ['$join with a long separator', '$join(list, text)', STEPS],
    ['$split', '$map([1..3000], function() { $split(text, "") })', STEPS],
    ['$match', '$match(text, /a/)', STEPS],
    ['an expression that backtracks elsewhere', '$map([1..3000], function() { $contains(text, /(a+)+$x/) })', STEPS],
    ['a regular expression called as a function', '$map([1..3000], function() { /[ab]c?/(text) })', STEPS],
    ['$distinct', '$distinct([1..5000])', STEPS],
    ['$sort', '$sort([1..40000])', STEPS],
    ['a grouping', '[1..20000]{"k": $}', STEPS],
    ['descendants of descendants', '[1..200].{"a": {"b": {"c": {"d": {"e": $}}}}}.**.**.**.**', STEPS],
    ['a join', 'list@$a.list@$b.list@$c.{"a": $a}', STEPS],
    ['a date picture', '$toMillis("1111111111", "[Y][M][D][H][m][s]")', /picture/],
    ['a width', '$fromMillis(0, "[Y,999999999]")', /picture/],
    ['a number picture', '$formatNumber(1, text)', /picture/],
  ])('%s', async (_name, expression, expected) => {
    const list = Array.from({ length: 2000 }, (_, index) => `item ${index}`)
    const outcome = await value(expression, { text: long, list }).then(() => 'not refused', String)
    expect(outcome.slice(0, 300)).toMatch(expected)
  })

  test.each([
    ['many keys', Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`k${index}`, [1]]))],
    ['many items', { a: Array.from({ length: 60_000 }, () => ({})) }],
    ['a long text', { a: long }],
    ['depth', { a: JSON.parse(`${'['.repeat(60)}${']'.repeat(60)}`) as unknown }],
    ['too much depth', JSON.parse(`${'['.repeat(5000)}${']'.repeat(5000)}`) as unknown],
  ])('a payload of %s is mapped or refused, by steps alone', async (_name, payload) => {
    for (const expression of ['a', '*', '**', '$string(a)', '$count(a)', 'a[0]', '$keys($)', 'a{"k": $}', 'a^($)']) {
      const first = await value(expression, payload).catch((error: unknown) => error)
      const second = await value(expression, payload).catch((error: unknown) => error)
      expect(second).toStrictEqual(first)
      if (first instanceof Error) expect(first).toBeInstanceOf(AppError)
      expect(String(first)).not.toContain('too long')
    }
  })

  test.each([
    ['a function', '$uppercase'],
    ['a function in an object', '{"a": [function($x) { $x }]}'],
    ['a regular expression', '/a/'],
  ])('%s is no value', async (_name, expression) => {
    await expect(value(expression)).rejects.toThrow('gives a function; call it')
  })

  // An object with a function named `then` is a promise to whoever awaits it, one that is never kept.
  test.each([
    '{"then": /a/}',
    '(function($f) { {"then": $f} })(function($resolve) { $resolve(1) })',
    '($k := "th" & "en"; [1]{$k: /a/})',
  ])('%s does not hang', async (expression) => {
    await expect(value(expression)).rejects.toThrow('may not name a property "then"')
  })
})

describe('nothing gets out', () => {
  test.each([
    ['constructor', undefined],
    ['subject.constructor', undefined],
    ['__proto__', undefined],
    ['$lookup($, "__proto__")', undefined],
    ['$lookup($, "toString")', undefined],
    ['{"__proto__": {"polluted": true}}', JSON.parse('{"__proto__": {"polluted": true}}')],
    ['$merge([{"__proto__": {"polluted": true}}, {"a": 1}])', JSON.parse('{"__proto__": {"polluted": true}, "a": 1}')],
  ])('%s', async (expression, expected) => {
    expect(await value(expression, PAYLOAD)).toStrictEqual(expected)
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  test('a key named __proto__ or constructor is data', async () => {
    const payload = JSON.parse('{"__proto__": {"a": 1}, "constructor": "c"}') as unknown
    expect(await value('__proto__.a & constructor', payload)).toBe('1c')
  })

  test.each(['-subject', 'subject + 1', '$number(subject)', '$sqrt($number(code))', '$power($number(big), 999)'])(
    'the refusal of %s does not quote the payload',
    async (expression) => {
      const error = await value(expression, { subject: 'ann@example.com', code: '-4711', big: '47114711' }).then(
        () => null,
        (reason: unknown) => reason,
      )
      expect(error).toBeInstanceOf(AppError)
      expect(String(error)).not.toMatch(/ann@|4711/)
    },
  )

  test('what the owner of the map says is said', async () => {
    await expect(value('$error("no subject")')).rejects.toThrow('Field map: metadata: no subject')
    await expect(value('$assert($exists(a), "a is missing")')).rejects.toThrow('a is missing')
  })

  test('all fields that fail are named', async () => {
    const error = await evaluate({ title: '-a', account: '$error("x")', status: 'a' }, { a: 'x' }).catch(
      (reason: unknown) => reason,
    )
    expect((error as AppError).errors.map(({ field }) => field)).toStrictEqual(['title', 'account'])
  })
})

const DRAFT: TicketDraft = {
  platform: 'zendesk',
  account: 'acme',
  externalId: '35436',
  title: 'Before',
  description: 'Words',
  category: 'general',
  priority: 'low',
  status: 'open',
  userId: 'u-1',
  userEmail: 'ann@example.com',
  sentUpdatedAt: 1,
  event: null,
  metadata: { platform: 'zendesk', external_id: '35436', unmapped: { a: 1 }, channel: 'web' },
}
const applied = (mapped: Mapped, metadata: Record<string, unknown> = {}) =>
  applyMapped({ ...DRAFT, metadata: { ...DRAFT.metadata, ...metadata } }, mapped)

describe('what a map said is laid over the draft', () => {
  test('nothing changes when it said nothing', () => {
    expect(applyMapped(DRAFT, {})).toStrictEqual(DRAFT)
  })

  test.each<[string, Mapped, Partial<TicketDraft>]>([
    ['a title is trimmed', { title: '  New\r\ntitle ' }, { title: 'New\ntitle' }],
    ['a number is text', { title: 42, user_id: 7 }, { title: '42', userId: '7' }],
    ['so is false', { description: false }, { description: 'false' }],
    ['NUL and a lone surrogate are replaced', { description: 'a\0\ud800' }, { description: 'a\u{FFFD}\u{FFFD}' }],
    ['a category is in lower case', { category: ' Billing ' }, { category: 'billing' }],
    ['a category may be taken away', { category: null }, { category: null }],
    ['a status of ours', { status: 'Closed' }, { status: 'closed' }],
    ['a usual word for one', { status: 'In_Progress' }, { status: 'open' }],
    ['another', { status: 'on-hold' }, { status: 'pending' }],
    ['no status', { status: null }, { status: null }],
    ['an e-mail address', { user_email: 'Bob@Example.com' }, { userEmail: 'Bob@Example.com' }],
    ['an account', { account: 5 }, { account: '5' }],
    ['no account', { account: null }, { account: '' }],
    ['a time', { updated_at: '2026-11-20T09:14:40Z' }, { sentUpdatedAt: Date.UTC(2026, 10, 20, 9, 14, 40) }],
    ['a time in seconds', { updated_at: 1_763_630_080 }, { sentUpdatedAt: 1_763_630_080_000 }],
    ['a time that $toMillis made', { updated_at: 1_763_630_080_123 }, { sentUpdatedAt: 1_763_630_080_123 }],
  ])('%s', (_name, mapped, expected) => {
    expect(applied(mapped)).toStrictEqual({ ...DRAFT, ...expected })
  })

  test('a long title is cut, and kept whole beside it', () => {
    const title = 'x'.repeat(600)
    const { title: cut, metadata } = applied({ title })
    expect([cut?.length, metadata['full_title']]).toStrictEqual([500, title])
    expect(applied({ title: 'short' }, { full_title: 'stale' }).metadata).not.toHaveProperty('full_title')
    expect(applied({ category: 'c' }, { full_title: 'kept' }).metadata).toHaveProperty('full_title', 'kept')
  })

  test('a priority is never a reason to refuse', () => {
    expect(applied({ priority: 'HIGH' }, { original_priority: '2', priority_unmapped: true })).toStrictEqual({
      ...DRAFT,
      priority: 'high',
    })
    expect(applied({ priority: 'Blocker' })).toMatchObject({
      priority: 'urgent',
      metadata: { original_priority: 'Blocker' },
    })
    expect(applied({ priority: 'meh' })).toMatchObject({ priority: null, metadata: { original_priority: 'meh' } })
    expect(applyMapped(DRAFT, { priority: 1 }, { 1: 'urgent' }).priority).toBe('urgent')
    expect(applyMapped(DRAFT, { priority: 1 })).toMatchObject({ priority: null, metadata: { original_priority: '1' } })
  })

  test('a status that nobody knows is kept, and the one of the draft with it', () => {
    expect(applied({ status: 'Escalated' })).toMatchObject({
      status: 'open',
      metadata: { original_status: 'Escalated' },
    })
    expect(applied({ status: 'new' }, { original_status: 'stale' }).metadata).not.toHaveProperty('original_status')
  })

  test('an e-mail address that is none is kept beside', () => {
    expect(applied({ user_email: 'ann at home' })).toMatchObject({
      userEmail: null,
      metadata: { original_email: 'ann at home' },
    })
    expect(applied({ user_email: 'b@example.com' }, { original_email: 'x' }).metadata).not.toHaveProperty(
      'original_email',
    )
  })

  test('an event may have no title: it has a stand-in', () => {
    const event = { kind: 'updated' as const, comment: null, standIn: { title: 'x', description: 'y' }, reply: null }
    expect(applyMapped({ ...DRAFT, event }, { title: null }).title).toBe(null)
  })

  test('an external id is text, and the same in the metadata', () => {
    expect(applied({ external_id: 12_345 })).toMatchObject({ externalId: '12345', metadata: { external_id: '12345' } })
    const none = applied({ external_id: null })
    expect(none.externalId).toBeNull()
    expect(none.metadata).not.toHaveProperty('external_id')
  })

  test('a time that is none is kept beside', () => {
    expect(applied({ updated_at: 'yesterday' })).toMatchObject({
      sentUpdatedAt: null,
      metadata: { original_updated_at: 'yesterday' },
    })
  })

  test('metadata is merged, and what is ours wins', () => {
    const { metadata } = applied({ metadata: { platform: 'x', external_id: 'y', unmapped: 1, channel: 'api', n: 1 } })
    expect(metadata).toStrictEqual({ ...DRAFT.metadata, channel: 'api', n: 1 })
    expect(applied({ metadata: '{"n": 2}' }).metadata).toStrictEqual({ ...DRAFT.metadata, n: 2 })
    const hostile = applied({ metadata: JSON.parse('{"__proto__": {"polluted": true}}') as unknown }).metadata
    expect(Object.hasOwn(hostile, '__proto__')).toBe(true)
    expect(Object.getPrototypeOf(hostile)).toBe(Object.prototype)
  })

  test.each<[string, Mapped, string]>([
    ['an object as a title', { title: {} }, 'Field map: title must be text, not an object'],
    ['a blank title', { title: '  ' }, 'Field map: title is nothing, and a ticket needs one'],
    ['an array as an id', { external_id: ['1'] }, 'Field map: external_id must be text, not an array'],
    ['a text as metadata', { metadata: 'words' }, 'Field map: metadata must be an object'],
    ['an array as metadata', { metadata: [1] }, 'Field map: metadata must be an object'],
    ['a large metadata', { metadata: { a: 'x'.repeat(300_000) } }, 'Field map: metadata is larger than 256 KiB'],
    ['a long id', { external_id: 'x'.repeat(501) }, 'Field map: external_id is longer than 500 characters'],
    ['a long account', { account: 'x'.repeat(501) }, 'Field map: account is longer than 500 characters'],
    ['a long category', { category: 'x'.repeat(501) }, 'Field map: category is longer than 500 characters'],
    ['two at once', { title: [], status: {} }, '2 fields are not valid: title, status'],
  ])('%s is refused', (_name, mapped, message) => {
    const error = refusal(() => applied(mapped))
    expect([error.code, error.message]).toStrictEqual(['malformed', message])
  })

  test('the draft that was given stays as it is', () => {
    const before = structuredClone(DRAFT)
    applyMapped(DRAFT, { title: 'x'.repeat(600), priority: 'meh', external_id: null, metadata: { a: 1 } })
    expect(DRAFT).toStrictEqual(before)
  })
})

test('whatever the payload, a map throws nothing but AppError and leaves the payload as it was', async () => {
  const maps = [
    { title: 'a', description: '**[0]', priority: '$lowercase(a)', metadata: '$' },
    { title: '$string($)', category: 'a.b.c[0]', status: '$uppercase($keys($)[0])', metadata: '{"all": *}' },
    { title: 'a()', external_id: 'a[]', account: '$map(a, $string)', metadata: '$merge([$, {"x": a}])' },
    { title: '$join($keys($), ",")', user_email: '$split($string(a), /[@,]/)[0]', updated_at: 'a + 1' },
    { title: '$ ~> $string ~> $substring(0, 5)', user_id: 'a#$i.$i', metadata: '$sift($, function($v) { $v })' },
  ].map(compileFieldMap)
  const key = fc.oneof(
    fc.constantFrom('a', 'b', 'then', '__proto__', 'constructor', 'length', 'sequence', 'tupleStream', 'outerWrapper'),
    fc.constantFrom('_jsonata_lambda', '_jsonata_function', 'thunk', 'environment', 'body', 'arguments', 'cons'),
    fc.string({ maxLength: 5 }),
  )
  const { tree } = fc.letrec((tie) => ({
    leaf: fc.oneof(fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.constant('then')),
    tree: fc.oneof(
      { maxDepth: 5 },
      tie('leaf'),
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.array(fc.tuple(key, tie('tree')), { maxLength: 5 }).map((entries) => Object.fromEntries(entries)),
    ),
  }))
  await fc.assert(
    fc.asyncProperty(tree, async (payload) => {
      const before = structuredClone(payload)
      for (const map of maps) {
        try {
          const mapped = await map.evaluate(payload, {})
          applyMapped(DRAFT, mapped)
        } catch (error) {
          if (!(error instanceof AppError)) throw error
        }
      }
      expect(isDeepStrictEqual(payload, before)).toBe(true)
    }),
    { numRuns: 300 },
  )
})
