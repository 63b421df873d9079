import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import {
  deliveriesOf,
  discard,
  endsWithCleanPrototypes,
  get,
  post,
  startTestServer,
  type TestServer,
  WATCHING_PROTOTYPES,
} from '../server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer(WATCHING_PROTOTYPES)
})
afterAll(() => discard(server))

const FORM = { type: 'application/x-www-form-urlencoded' }
const BATCH = { path: '/batch' }
const DEPTH = 10_000
const BASE = '"title":"t","description":"d"'
const utf8 = (text: string) => Buffer.from(text, 'utf8')
const latin1 = (text: string) => Buffer.from(text, 'latin1')
const arrays = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
const objects = (depth: number) => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)
const brackets = (depth: number) => 'a' + '[b]'.repeat(depth)
const form = (fields: Record<string, string>) =>
  new URLSearchParams({ title: 't', description: 'd', ...fields }).toString()

/** What is posted, the status and what the answer holds; JSON to the webhook unless it says otherwise. */
type Row = [
  name: string,
  body: string | Uint8Array,
  status: number,
  holds?: Record<string, unknown>,
  sent?: { type?: string; path?: string },
]

const TOO_DEEP = { detail: expect.stringContaining('deeper than 64 levels') }

const rows: Row[] = [
  // What JSON allows and what is read from it
  ['a key twice: the last one counts', `{"title":"first",${BASE}}`, 200, { title: 't' }],
  ['a byte order mark', utf8(`\u{FEFF}{${BASE}}`), 200, { title: 't' }],
  ['white space around', ` \t\r\n{${BASE}}\n \n`, 200],
  [
    'a lone surrogate in a value',
    `{${BASE},"subject":"a\\ud800b"}`,
    200,
    metadata({ unmapped: { subject: 'a\u{FFFD}b' } }),
  ],
  ['a lone low surrogate in a value', String.raw`{"title":"a\uDC00b","description":"d"}`, 200, { title: 'a\u{FFFD}b' }],
  ['a lone surrogate in a key', `{${BASE},"a\\udfffb":1}`, 200, metadata({ unmapped: { 'a\u{FFFD}b': 1 } })],
  [
    'a lone surrogate in a key of the metadata',
    `{${BASE},"metadata":{"\\ud83d":1}}`,
    200,
    { ticket_metadata: { '\u{FFFD}': 1 } },
  ],
  ['a surrogate pair', String.raw`{"title":"\ud83d\ude00","description":"d"}`, 200, { title: '😀' }],
  ['an escaped NUL', String.raw`{"title":"a\u0000b","description":"d"}`, 200, { title: 'a\u{FFFD}b' }],
  ['an escaped NUL in a key', `{${BASE},"metadata":{"a\\u0000":1}}`, 200, { ticket_metadata: { 'a\u{FFFD}': 1 } }],
  [
    'a JSON string of 900 KB',
    JSON.stringify({ title: 't', description: 'x'.repeat(900_000) }),
    200,
    { description: 'x'.repeat(900_000) },
  ],
  [
    'a title of 900 KB',
    JSON.stringify({ title: 'é'.repeat(450_000), description: 'd' }),
    200,
    { title: 'é'.repeat(500) },
  ],
  [
    'a title of one endless character',
    JSON.stringify({ title: `e${'\u{301}'.repeat(400_000)}`, description: 'd' }),
    200,
  ],
  [
    'a category, id and user id of 200 KB',
    JSON.stringify({
      title: 't',
      description: 'd',
      category: 'c'.repeat(200_000),
      id: 'i'.repeat(200_000),
      user_id: 'u'.repeat(200_000),
    }),
    400,
  ],
  // Numbers
  ['an id of 400 digits', `{${BASE},"id":${'9'.repeat(400)}}`, 200, metadata({ external_id: '9'.repeat(400) })],
  ['an id of 2^53+1', `{${BASE},"id":9007199254740993}`, 200, metadata({ external_id: '9007199254740993' })],
  [
    'a negative id beyond 2^53',
    `{${BASE},"id":-9007199254740993}`,
    200,
    metadata({ external_id: '-9007199254740993' }),
  ],
  [
    'a number beyond all doubles',
    `{${BASE},"id":1e400,"metadata":{"n":[-1e999]}}`,
    200,
    metadata({ external_id: '1e400', n: ['-1e999'] }),
  ],
  ['minus zero', `{${BASE},"id":-0,"metadata":{"n":-0}}`, 200, metadata({ external_id: '0', n: 0 })],
  ['a time beyond all calendars', `{${BASE},"updated_at":${'9'.repeat(400)}}`, 200],
  ['a time that is no time', `{${BASE},"updated_at":"${'('.repeat(100_000)}"}`, 200],
  ['NaN', `{${BASE},"id":NaN}`, 400],
  ['Infinity', `{${BASE},"id":-Infinity}`, 400],
  ['a hexadecimal number', `{${BASE},"id":0x1F}`, 400],
  ['a leading zero', `{${BASE},"id":007}`, 400],
  // Depth
  ['arrays 10,000 deep', arrays(DEPTH), 400, TOO_DEEP],
  ['arrays 500,000 deep', arrays(500_000), 400, TOO_DEEP],
  ['objects 10,000 deep', objects(DEPTH), 400, TOO_DEEP],
  ['arrays 10,000 deep around a long number', arrays(DEPTH).replace('[]', '[12345678901234567890]'), 400, TOO_DEEP],
  ['arrays 400,000 deep around a long number', arrays(400_000).replace('[]', '[12345678901234567890]'), 400, TOO_DEEP],
  ['objects 100,000 deep beside a long number', `{"id":12345678901234567890,"x":${objects(100_000)}}`, 400, TOO_DEEP],
  ['arrays 10,000 deep around an escaped NUL', arrays(DEPTH).replace('[]', String.raw`["\u0000"]`), 400, TOO_DEEP],
  ['arrays 10,000 deep that never close', '['.repeat(DEPTH), 400],
  ['metadata 10,000 deep', `{${BASE},"metadata":${objects(DEPTH)}}`, 400, TOO_DEEP],
  ['an unmapped field 10,000 deep', `{${BASE},"x":${arrays(DEPTH)}}`, 400, TOO_DEEP],
  ['a mapped field 10,000 deep', `{"title":${arrays(DEPTH)},"description":"d"}`, 400, TOO_DEEP],
  ['metadata 60 deep', `{${BASE},"metadata":${objects(60)}}`, 200],
  [
    'metadata as text, 10,000 deep',
    JSON.stringify({ title: 't', description: 'd', metadata: objects(DEPTH) }),
    400,
    { detail: 'metadata must be an object' },
  ],
  ['a form field 10,000 deep', `title=t&description=d&${brackets(DEPTH)}=1`, 400, {}, FORM],
  [
    'metadata as text in a form, 10,000 deep',
    form({ metadata: objects(DEPTH) }),
    400,
    { detail: 'metadata must be an object' },
    FORM,
  ],
  [
    'metadata as text in a form, deep around a long number',
    form({ metadata: `{"a":${arrays(DEPTH).replace('[]', '[12345678901234567890]')}}` }),
    400,
    { detail: 'metadata must be an object' },
    FORM,
  ],
  ['a form payload 10,000 deep', form({ payload: objects(DEPTH) }), 400, TOO_DEEP, FORM],
  // Width
  [
    '50,000 keys',
    `{${BASE},${manyKeys(50_000)}}`,
    400,
    { detail: expect.stringContaining('more than 5000 different') },
  ],
  ['4,900 keys', `{${BASE},${manyKeys(4900)}}`, 200],
  ['95,000 values of one name', `{${BASE},"x":[${'{"a":1},'.repeat(47_000)}1]}`, 200],
  [
    'metadata of 300 KB',
    `{${BASE},"metadata":{"x":"${'x'.repeat(300_000)}"}}`,
    400,
    { detail: expect.stringContaining('metadata is larger') },
  ],
  ['an array of 400,000 numbers', `{${BASE},"x":[${'1,'.repeat(400_000)}1]}`, 400],
  ['a form of 10,000 fields', form({}) + '&x=1'.repeat(10_000), 400, {}, FORM],
  ['a form array of 1,500 items', form({}) + '&x[]=1'.repeat(1500), 400, {}, FORM],
  ['a form array with a huge index', form({ 'x[4294967295]': '1' }), 400, {}, FORM],
  // Bytes that are no text
  ['a raw NUL in a string', latin1('{"title":"a\0b","description":"d"}'), 400],
  ['a raw NUL after the body', latin1(`{${BASE}}\0`), 400],
  ['invalid UTF-8', latin1('{"title":"\xff\xfe\xfd","description":"d"}'), 400, { detail: 'Body is not valid UTF-8' }],
  [
    'overlong UTF-8',
    latin1('{"title":"\xc0\xaf\xc0\x80","description":"d"}'),
    400,
    { detail: 'Body is not valid UTF-8' },
  ],
  [
    'a surrogate encoded as UTF-8',
    latin1('{"title":"\xed\xa0\x80","description":"d"}'),
    400,
    { detail: 'Body is not valid UTF-8' },
  ],
  ['a character cut in two', Buffer.concat([latin1('{"title":"'), utf8('😀').subarray(0, 2)]), 400],
  ['UTF-16, little end first', Buffer.from(`{${BASE}}`, 'utf16le'), 400],
  ['UTF-16 with its mark', Buffer.from(`\u{FEFF}{${BASE}}`, 'utf16le'), 400],
  ['UTF-16, big end first', Buffer.from(`\u{FEFF}{${BASE}}`, 'utf16le').swap16(), 400],
  ['invalid UTF-8 in a form', latin1('title=\xff\xfe&description=d'), 200, { title: 'ÿþ' }, FORM],
  ['invalid escapes in a form', 'title=%ff%zz%&description=%', 200, { title: '%ff%zz%', description: '%' }, FORM],
  ['a NUL and a lone surrogate in a form', 'title=a%00b&description=%ED%A0%80', 200, { title: 'a\u{FFFD}b' }, FORM],
  // What is not JSON, and what is not a ticket
  ['an empty body', '', 400, { detail: expect.stringContaining('empty') }],
  ['a body of white space', ' \r\n\t ', 400, { detail: expect.stringContaining('empty') }],
  ['a byte order mark alone', utf8('\u{FEFF}'), 400, { detail: expect.stringContaining('empty') }],
  ['null', 'null', 400, { detail: 'Body must be one ticket as a JSON object' }],
  ['true', 'true', 400],
  ['a number', '42', 400],
  ['a string', '"text"', 400],
  ['an empty array', '[]', 400],
  ['an array of one ticket', `[{${BASE}}]`, 400],
  ['an empty object', '{}', 400, { detail: 'Title or subject is required' }],
  ['truncated', `{${BASE.slice(0, -3)}`, 400],
  ['truncated in an escape', String.raw`{"title":"\u12`, 400],
  ['garbage after the end', `{${BASE}}}`, 400],
  ['two documents', `{${BASE}}\n{${BASE}}`, 400],
  ['single quotes', "{'title':'t','description':'d'}", 400],
  ['comments', `{/* hi */${BASE}} // bye`, 400],
  ['a comma at the end', `{${BASE},}`, 400],
  ['undefined', 'undefined', 400],
  [
    'a line break in a string',
    '{"title":"a\nb","description":"d"}',
    400,
    { detail: expect.stringContaining('escape') },
  ],
  [
    'an object for the title',
    '{"title":{"a":1},"description":"d"}',
    400,
    { detail: 'title must be text, not an object' },
  ],
  [
    'an array for the description',
    '{"title":"t","description":["d"]}',
    400,
    { detail: 'description must be text, not an array' },
  ],
  [
    'an object in every field',
    '{"title":{},"description":[],"id":{},"metadata":[],"platform":{}}',
    400,
    { errors: expect.any(Array) },
  ],
  ['an array as metadata', `{${BASE},"metadata":[1]}`, 400],
  ['a number as metadata', `{${BASE},"metadata":7}`, 400],
  [
    'an e-mail address of 900 KB',
    JSON.stringify({ title: 't', description: 'd', user_email: `${'a.'.repeat(400_000)}@x.y` }),
    400,
  ],
  ['only characters that count as blank', String.raw`{"title":"\u00a0\u2003\ufeff","description":"d"}`, 400],
  // Names that JavaScript knows
  [
    '__proto__ at the top',
    `{${BASE},"__proto__":{"polluted":"yes"}}`,
    200,
    metadata({ unmapped: proto({ polluted: 'yes' }) }),
  ],
  [
    '__proto__ that brings the fields',
    `{"__proto__":{"title":"t","description":"d"}}`,
    400,
    { detail: 'Title or subject is required' },
  ],
  [
    '__proto__ that brings an unchecked field',
    `{${BASE},"__proto__":{"user_id":{"a":1},"category":["x"]}}`,
    200,
    { user_id: null, category: 'general' },
  ],
  [
    '__proto__ in the metadata',
    `{${BASE},"metadata":{"__proto__":{"polluted":"yes"},"kept":1}}`,
    200,
    metadata({ kept: 1, ...proto({ polluted: 'yes' }) }),
  ],
  ['__proto__ with a NUL beside it', `{${BASE},"x":"\\u0000","metadata":{"__proto__":{"polluted":"yes"}}}`, 200],
  [
    '__proto__ with a long number beside it',
    `{${BASE},"id":12345678901234567890,"metadata":{"__proto__":{"polluted":1e999}}}`,
    200,
  ],
  [
    'constructor.prototype',
    `{${BASE},"constructor":{"prototype":{"polluted":"yes"}},"metadata":{"constructor":{"prototype":{"polluted":"yes"}}}}`,
    200,
    metadata({
      unmapped: { constructor: { prototype: { polluted: 'yes' } } },
      constructor: { prototype: { polluted: 'yes' } },
    }),
  ],
  [
    'prototype, toString, hasOwnProperty and toJSON',
    `{${BASE},"prototype":1,"toString":"x","hasOwnProperty":null,"valueOf":{},"toJSON":{},"metadata":{"toJSON":"x","toString":1,"length":-1}}`,
    200,
    metadata({
      toJSON: 'x',
      length: -1,
      unmapped: expect.objectContaining({ prototype: 1, hasOwnProperty: null }),
    }),
  ],
  ['__proto__ in a form', form({ '__proto__[polluted]': 'yes', 'x[__proto__][polluted]': 'yes' }), 200, {}, FORM],
  [
    'constructor in a form',
    form({ 'constructor[prototype][polluted]': 'yes', 'metadata[constructor][prototype][polluted]': 'yes' }),
    200,
    {},
    FORM,
  ],
  [
    'toString and hasOwnProperty in a form',
    form({ 'x[toString]': 'y', 'x[hasOwnProperty]': 'z', hasOwnProperty: 'q' }),
    200,
    {},
    FORM,
  ],
  ['a form field that is a text and an object', `${form({ title: 'u' })}&title[a]=1`, 400, {}, FORM],
  ['a form field twice', `${form({})}&title=again`, 400, { detail: 'title must be text, not an array' }, FORM],
  ['a form of separators', '&&&===&&[]=&[a]&]=1&%5B', 400, {}, FORM],
  // Batches
  ['an object to the batch', `{${BASE}}`, 400, {}, BATCH],
  ['an empty batch', '[]', 200, { created_count: 0, failed_count: 0 }, BATCH],
  [
    'a batch of 1,001 items',
    `[${Array(1001).fill(`{${BASE}}`).join(',')}]`,
    400,
    { detail: 'A batch has at most 1000 tickets, not 1001' },
    BATCH,
  ],
  ['a batch in a batch', `[[{${BASE}}],{${BASE}}]`, 200, { created_count: 1, failed_count: 1 }, BATCH],
  [
    'a batch of what is no ticket',
    '[null,true,1,"text",[],{},{"title":{}}]',
    200,
    { created_count: 0, failed_count: 7 },
    BATCH,
  ],
  ['a batch with arrays 10,000 deep', `[${arrays(DEPTH)},{${BASE}}]`, 400, TOO_DEEP, BATCH],
  [
    'a batch with __proto__',
    `[{${BASE},"__proto__":{"polluted":"yes"}},{"__proto__":{"title":"t","description":"d"}}]`,
    200,
    { created_count: 1, failed_count: 1 },
    BATCH,
  ],
  ['a truncated batch', `[{${BASE}},`, 400, {}, BATCH],
]

function metadata(fields: Record<string, unknown>) {
  return { ticket_metadata: expect.objectContaining(fields) }
}

/** An object with an own key of that name. */
function proto(value: unknown): Record<string, unknown> {
  return JSON.parse(`{"__proto__":${JSON.stringify(value)}}`)
}

function manyKeys(count: number): string {
  return Array.from({ length: count }, (_, index) => `"${index.toString(36)}":1`).join(',')
}

describe('every hostile body gets its answer and one line in the audit log', () => {
  test.each(rows)('%s', async (name, body, status, holds = {}, { type = 'application/json', path = '' } = {}) => {
    const id = `torture-${rows.findIndex((row) => row[0] === name)}`
    const answer = await post(server.webhook + path, body, { 'x-request-id': id, 'content-type': type })

    expect(answer.text).not.toContain('[object')
    expect({ status: answer.status, json: answer.json }).toMatchObject({ status, json: holds })
    if (status >= 400) expect(answer.json.detail).toMatch(/^\w.{5,300}$/s)
    expect(await deliveriesOf(server, id)).toMatchObject([
      { status, source: 'open', body_size: Buffer.byteLength(body) },
    ])
  })

  test('the names of the cases are told apart', () => {
    expect(new Set(rows.map(([name]) => name)).size).toBe(rows.length)
  })
})

test('after all of it a plain ticket is plain, alone and in a batch', async () => {
  const plain = { title: 'plain', description: 'ticket' }
  const alone = await post(server.webhook, plain)
  expect(alone.json).toStrictEqual({
    id: expect.any(Number),
    title: 'plain',
    description: 'ticket',
    category: 'general',
    priority: 'medium',
    status: 'new',
    user_id: null,
    user_email: null,
    ticket_metadata: {},
    created_at: expect.any(String),
    updated_at: expect.any(String),
    resolved_at: null,
  })
  const batch = await post(`${server.webhook}/batch`, [plain])
  expect(batch.json).toStrictEqual({
    created_count: 1,
    failed_count: 0,
    created_tickets: [{ index: 0, ticket_id: expect.any(Number), title: 'plain' }],
    failed_tickets: [],
  })
  expect((await get(`${server.webhook}/health`)).json.status).toBe('healthy')
})

test('after all of it the prototypes that all objects share are as they were', async () => {
  expect(await endsWithCleanPrototypes(server)).toBe(true)
})
