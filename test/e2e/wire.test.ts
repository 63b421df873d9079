import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { deliveriesOf, discard, get, post, startTestServer, type TestServer } from '../server.ts'
import { chunk, drip, eventually, exchange, field, httpRequest, lastChunk, multipart, pour, typed } from '../wire.ts'

const TIMEOUT_S = 2
const MB = 1_048_576
const WEBHOOK = '/api/integrations/webhook'
const JSON_TYPE = 'application/json'
const FORM = 'application/x-www-form-urlencoded'
const SECRET = 'sesame-0123456789'
const BODY_MARK = 'only-ever-in-a-body'
const EVIL = 'https://evil.example'
const TICKET = JSON.stringify({ title: BODY_MARK, description: 'd' })

let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ TICKETFLOW_REQUEST_TIMEOUT_S: String(TIMEOUT_S) })
})
afterAll(() => discard(server))

type Row = [name: string, status: number, request: Parameters<typeof httpRequest>[0], detail?: RegExp]

describe('each request gets one answer and one line in the audit log', () => {
  const encoded = (encoding: string, body: Uint8Array) => ({
    headers: { 'content-type': JSON_TYPE, 'content-encoding': encoding },
    body,
  })
  const header = (name: string, value: string) => ({
    headers: { 'content-type': JSON_TYPE, [name]: value },
    body: TICKET,
  })
  const good = [field('title', BODY_MARK), field('description', 'd')]
  const xml = `<ticket>${BODY_MARK}</ticket>`
  const rows: Row[] = [
    // What the sender calls it, and what it is
    ['JSON called a form', 200, typed(FORM, TICKET)],
    ['a form called JSON', 400, typed(JSON_TYPE, `title=${BODY_MARK}&description=d`), /not valid JSON/],
    ['XML called JSON', 415, typed(JSON_TYPE, xml), /XML is not supported/],
    ['XML called XML', 415, typed('application/xml', xml), /XML is not supported/],
    ['XML called a form', 415, typed(FORM, xml), /XML is not supported/],
    ['JSON called text', 200, typed('text/plain', TICKET)],
    ['JSON called application/jsonx', 200, typed('application/jsonx', TICKET)],
    ['JSON called an image', 200, typed('image/png', TICKET)],
    ['JSON with no type', 200, { body: TICKET }],
    ['nothing with no type', 400, {}, /empty/],
    ['nothing as JSON', 400, typed(JSON_TYPE, ''), /empty/],
    ['nothing as a form', 400, typed(FORM, ''), /Title or subject/],
    ['a type of ;;;', 415, typed(';;;', TICKET), /media type/],
    ['a type of 15 KB', 200, typed(`application/json; x=${'y'.repeat(15_000)}`, TICKET)],
    ['a type of 15 KB of separators', 415, typed(`${';='.repeat(7_500)}`, TICKET), /media type/],
    ['a charset that is not so', 200, typed('application/json; charset=utf-16', TICKET)],
    ['JSON called multipart/mixed', 415, typed('multipart/mixed; boundary=B', TICKET), /send multipart\/form-data/],
    // Encodings
    ['gzip', 200, encoded('gzip', gzipSync(TICKET))],
    ['gzip in capitals', 200, encoded('GZIP', gzipSync(TICKET))],
    ['deflate', 200, encoded('deflate', deflateSync(TICKET))],
    ['brotli', 200, encoded('br', brotliCompressSync(TICKET))],
    ['identity', 200, encoded('identity', Buffer.from(TICKET))],
    ['gzip that is none', 400, encoded('gzip', Buffer.from(TICKET)), /not valid gzip/],
    ['brotli that is none', 400, encoded('br', Buffer.from(TICKET)), /not valid br/],
    ['gzip cut short', 400, encoded('gzip', gzipSync(TICKET).subarray(0, 30)), /not valid gzip/],
    ['gzip of nothing', 400, encoded('gzip', gzipSync('')), /empty/],
    ['gzip in gzip', 400, encoded('gzip', gzipSync(gzipSync(TICKET))), /UTF-8/],
    ['gzip in gzip, as it says', 415, encoded('gzip, gzip', gzipSync(gzipSync(TICKET))), /not supported/],
    ['an unknown encoding', 415, encoded('zstd', Buffer.from(TICKET)), /zstd is not supported/],
    ['the name of a property as the encoding', 415, encoded('__proto__', Buffer.from(TICKET)), /not supported/],
    ['a body a little too large', 413, typed(JSON_TYPE, `"${'x'.repeat(MB)}"`), /too large/],
    ['a body that inflates a little too large', 413, encoded('gzip', gzipSync(`"${'x'.repeat(MB)}"`)), /larger than/],
    // Headers
    ['an empty Idempotency-Key', 400, header('idempotency-key', ''), /1 to 255/],
    ['a blank webhook-id', 400, header('webhook-id', '\t'), /1 to 255/],
    ['an Idempotency-Key of 10 KB', 400, header('idempotency-key', 'k'.repeat(10_000)), /1 to 255/],
    ['an Idempotency-Key of other characters', 200, header('idempotency-key', '\xff\xfe"{}\\')],
    ['a header named __proto__', 200, header('__proto__', 'x')],
    ['a foreign Host', 403, header('host', 'evil.example'), /own machine/],
    ['a Host that only begins well', 403, header('host', 'localhost.evil.example:8000'), /own machine/],
    ['an empty Host', 403, header('host', ''), /own machine/],
    ['a foreign Origin', 403, header('origin', EVIL), /own machine/],
    ['an Origin of null', 403, header('origin', 'null'), /own machine/],
    ['a foreign Host on the API', 403, { path: '/api/tickets', ...header('host', 'evil.example') }, /own machine/],
    ['a foreign Origin on the API', 403, { path: '/api/tickets', ...header('origin', EVIL) }, /own machine/],
    ['a batch from a foreign Origin', 403, { path: `${WEBHOOK}/batch`, ...header('origin', EVIL) }, /own machine/],
    ['a method of no use', 405, { method: 'DELETE', ...typed(JSON_TYPE, TICKET) }, /takes POST/],
    ['a method of no use, without a body', 405, { method: 'DELETE' }, /takes POST/],
    ['an expectation that nobody meets', 200, header('expect', '200-ok')],
    // Multipart
    ['a multipart form', 200, multipart(...good)],
    [
      'a multipart form with a file',
      200,
      multipart(...good, `name="f"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nfile`),
    ],
    [
      'a multipart form with nested names',
      200,
      multipart(...good, field('metadata[a][b]', '1'), field('x[__proto__][y]', '1')),
    ],
    ['a multipart form with names too deep', 400, multipart(...good, field(`x${'[y]'.repeat(40)}`, '1')), /deep/],
    ['a multipart form without its boundary', 400, typed('multipart/form-data', TICKET), /Boundary/i],
    [
      'a multipart form with another boundary',
      400,
      typed('multipart/form-data; boundary=C', '--B\r\n\r\n'),
      /multipart/,
    ],
    ['a multipart form with nothing in it', 400, typed('multipart/form-data; boundary=B', ''), /multipart/],
    [
      'a multipart form cut in a field',
      400,
      typed('multipart/form-data; boundary=B', `--B\r\nContent-Disposition: form-data; ${good[0]}`),
      /multipart/,
    ],
    [
      'a multipart form cut in a file',
      400,
      typed(
        'multipart/form-data; boundary=B',
        '--B\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nfile',
      ),
      /multipart/,
    ],
    [
      'a multipart form cut in a header',
      400,
      typed('multipart/form-data; boundary=B', '--B\r\nContent-Dispo'),
      /multipart/,
    ],
    [
      'a multipart form of 10,000 parts',
      400,
      multipart(...good, ...Array<string>(10_000).fill(field('x', '1'))),
      /2000 parts/,
    ],
    [
      'a multipart form of 5,000 files',
      400,
      multipart(...good, ...Array<string>(5_000).fill('name="f"; filename="a"\r\n\r\n1')),
      /2000 parts/,
    ],
    [
      'a multipart form of 200 files',
      200,
      multipart(...good, ...Array<string>(200).fill('name="f"; filename="a"\r\n\r\n1')),
    ],
  ]

  test.concurrent.each(rows)('%s: %i', async (name, status, request, detail) => {
    const id = `wire-${rows.findIndex((row) => row[0] === name)}`
    const bytes = httpRequest({
      ...request,
      headers: { 'x-request-id': id, authorization: `Bearer ${SECRET}`, 'x-api-key': SECRET, ...request.headers },
    })
    const { answers, closed } = await exchange(server.url, bytes)

    expect(answers.map((answer) => answer.status)).toStrictEqual([status])
    expect(closed).toBe(true)
    const [answer] = answers
    expect(answer?.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(answer?.headers['x-request-id']).toBe(id)
    const json = JSON.parse(answer?.body ?? '')
    if (detail) expect(json.detail).toMatch(detail)
    else expect(json).toMatchObject({ title: BODY_MARK, status: 'new' })
    expect(await deliveriesOf(server, id)).toMatchObject([{ status }])
  })
})

describe('what is no proper HTTP is refused on the connection, which is then closed', () => {
  const json = { host: 'localhost', 'content-type': JSON_TYPE }
  const sized = (length: string) => httpRequest({ headers: { ...json, 'content-length': length }, body: TICKET })
  const chunks = `${chunk(TICKET)}${lastChunk}`
  const chunked = { ...json, 'transfer-encoding': 'chunked' }
  const raw = (...lines: string[]) =>
    `POST ${WEBHOOK} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${lines.join('\r\n')}`
  const manyHeaders = (count: number, name: (index: number) => string) =>
    raw(...Array.from({ length: count }, (_, index) => name(index)), `Content-Length: ${TICKET.length}`, '', TICKET)

  const rows: [name: string, bytes: string | Uint8Array, status: number | number[]][] = [
    ['a negative Content-Length', sized('-1'), 400],
    ['a Content-Length of 30 digits', sized('9'.repeat(30)), 400],
    ['a hexadecimal Content-Length', sized('0x10'), 400],
    ['two lengths', raw('Content-Length: 5', `Content-Length: ${TICKET.length}`, '', TICKET), 400],
    ['a length and chunks', raw('Content-Length: 5', 'Transfer-Encoding: chunked', '', chunks), 400],
    ['chunks and a length', raw('Transfer-Encoding: chunked', 'Content-Length: 5', '', chunks), 400],
    ['chunks of an unknown kind', raw('Transfer-Encoding: chunked, identity', '', chunks), 400],
    ['a space before the colon', raw('Transfer-Encoding : chunked', '', chunks), 400],
    ['a chunk size that is no number', httpRequest({ headers: chunked, body: `zz\r\n${TICKET}\r\n${lastChunk}` }), 400],
    ['a negative chunk size', httpRequest({ headers: chunked, body: `-5\r\n${TICKET}\r\n${lastChunk}` }), 400],
    ['a chunk size of 30 digits', httpRequest({ headers: chunked, body: `${'f'.repeat(30)}\r\n${TICKET}` }), 400],
    ['a chunk longer than it says', httpRequest({ headers: chunked, body: `2\r\n${TICKET}\r\n${lastChunk}` }), 400],
    [
      'a chunk extension of 20 KB',
      httpRequest({ headers: chunked, body: `5;x=${'y'.repeat(20_000)}\r\nhello\r\n${lastChunk}` }),
      [400, 413],
    ],
    ['garbage bytes', Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * 167 + 31) % 256)), 400],
    ['a TLS greeting', Buffer.from('16030100f1010000ed0303', 'hex'), 400],
    ['HTTP/2 at once', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['HTTP/9.9', `POST ${WEBHOOK} HTTP/9.9\r\nHost: localhost\r\n\r\n`, 400],
    ['no Host', `POST ${WEBHOOK} HTTP/1.1\r\nConnection: close\r\n\r\n`, 400],
    ['a header without a colon', raw('Nonsense', '', ''), 400],
    ['a NUL in a header', raw('X-Request-Id: a\0b', '', ''), 400],
    ['a bare CR in a header', raw('X-Request-Id: a\rX-Forged: yes', '', ''), 400],
    ['a bare LF after a header', raw('X-Request-Id: a\nX-Forged: yes', '', ''), 400],
    ['a bare LF in the Idempotency-Key', raw('Idempotency-Key: a\n{"level":30,"msg":"forged"}', '', ''), 400],
    ['a folded header', raw('X-Request-Id: a', ' {"msg":"forged"}', '', ''), 400],
    ['a header of 20 KB', raw(`X-Long: ${'x'.repeat(20_000)}`, '', ''), 431],
    ['a path of 20 KB', `POST /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`, [414, 431]],
    ['10,000 headers', manyHeaders(10_000, (index) => `X-${index}: y`), 431],
    ['10,000 headers of one byte', manyHeaders(10_000, () => 'a:'), 431],
    ['3,000 headers of one byte', manyHeaders(3_000, () => 'a:'), 431],
    ['a path that is no text', `POST /%zz%ff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`, [400, 404]],
  ]

  test.concurrent.each(rows)('%s', async (_name, bytes, status) => {
    const { answers, closed, raw: text, ms } = await exchange(server.url, bytes)

    expect(answers).toHaveLength(1)
    expect([status].flat()).toContain(answers[0]?.status)
    expect(JSON.parse(answers[0]?.body ?? '').detail).toMatch(/^[A-Z].{10,}/)
    expect(answers[0]?.headers['x-request-id']).toMatch(/^[\w-]{36}$/)
    expect(text).not.toMatch(/forged/i)
    expect({ closed, soon: ms < 6_000 }).toStrictEqual({ closed: true, soon: true })
  })
})

describe('a sender that takes its time is sent away in bounded time', () => {
  const head = (length: number, ...headers: string[]) =>
    [`POST ${WEBHOOK} HTTP/1.1`, 'Host: localhost', `Content-Length: ${length}`, ...headers, '', ''].join('\r\n')

  test.concurrent.each([
    ['a body that is never finished', drip(TICKET, head(100_000)), [408]],
    ['headers that never end', drip('x', `POST ${WEBHOOK} HTTP/1.1\r\nHost: localhost\r\nX-Slow: `), [408]],
    ['a body shorter than its Content-Length', `${head(TICKET.length + 10)}${TICKET}`, [408]],
    ['chunks that never end', httpRequest({ headers: { 'transfer-encoding': 'chunked' }, body: chunk(TICKET) }), [408]],
    ['a second request that never ends', `${head(TICKET.length)}${TICKET}POST / HTTP/1.1\r\n`, [200, 408]],
  ])('%s', async (_name, bytes, statuses) => {
    const { answers, closed, ms } = await exchange(server.url, bytes)

    expect(answers.map(({ status }) => status)).toStrictEqual(statuses)
    expect(closed).toBe(true)
    expect(ms).toBeLessThan(TIMEOUT_S * 1000 + 3_000)
  })

  test.concurrent('a sender that hangs up half-way makes no ticket', async () => {
    const id = 'wire-hung-up'
    await exchange(server.url, (socket) => {
      socket.write(head(100, `X-Request-Id: ${id}`, 'Content-Type: application/json') + '{"title":')
      setTimeout(() => socket.destroy(), 100)
    })
    expect(await eventually(() => deliveriesOf(server, id))).toMatchObject([
      { status: 400, outcome: 'rejected', ticket_id: null },
    ])
  })
})

describe('what is proper HTTP is taken as it comes', () => {
  test('a chunk at a time, byte by byte', async () => {
    const body = Buffer.concat([...Buffer.from(TICKET)].map((byte) => chunk(Uint8Array.of(byte))))
    const bytes = httpRequest({
      headers: { 'transfer-encoding': 'chunked' },
      body: Buffer.concat([body, Buffer.from(lastChunk)]),
    })
    const { answers } = await exchange(server.url, bytes)
    expect(answers).toMatchObject([{ status: 200 }])
  })

  test('HTTP/1.0 without a Host', async () => {
    const { raw } = await exchange(
      server.url,
      `POST ${WEBHOOK} HTTP/1.0\r\nContent-Length: ${TICKET.length}\r\n\r\n${TICKET}`,
    )
    expect(raw).toMatch(/^HTTP\/1\.[01] 200 /)
  })

  test('requests one after another without a wait: each gets its own answer, in order', async () => {
    const bytes = ['first', '', 'third'].map((title) =>
      httpRequest({
        headers: { connection: title === 'third' ? 'close' : 'keep-alive' },
        body: JSON.stringify({ title, description: 'd' }),
      }),
    )
    const { answers } = await exchange(server.url, Buffer.concat(bytes))
    expect(answers.map(({ status }) => status)).toStrictEqual([200, 400, 200])
    expect(answers.map(({ body }) => JSON.parse(body).title)).toStrictEqual(['first', undefined, 'third'])
  })

  test('a body longer than its Content-Length is not read as part of the ticket', async () => {
    const bytes = httpRequest({
      headers: { connection: 'keep-alive', 'content-length': String(TICKET.length) },
      body: `${TICKET}{"title":"smuggled"}`,
    })
    const { answers } = await exchange(server.url, bytes)
    expect(answers.map(({ status }) => status)).toStrictEqual([200, 400])
  })

  test('the request id of the sender comes back only where it is harmless', async () => {
    for (const [given, isKept] of [
      ['abc.DEF:1-2_3', true],
      ['x'.repeat(100), true],
      ['x'.repeat(101), false],
      ['a b', false],
      ['"}', false],
      ['é', false],
      ['<script>', false],
      ['', false],
    ] as const) {
      const { answers } = await exchange(server.url, httpRequest({ headers: { 'x-request-id': given }, body: TICKET }))
      const id = answers[0]?.headers['x-request-id']
      expect({ given, isKept: id === given }).toStrictEqual({ given, isKept })
      expect(id).toMatch(/^[\w.:-]{1,100}$/)
    }
  })
})

/** The most memory that the server ever held, in MB. */
const peak = () =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${server.child.pid}/status`, 'utf8'))?.[1]) / 1024

describe('memory stays flat, whatever four senders pour in at once', () => {
  const zeros = Buffer.alloc(MB, 0x20)

  test.each<[name: string, write: (socket: Socket) => void]>([
    [
      '100 MB, declared',
      (socket) => {
        socket.write(httpRequest({ headers: { 'content-length': String(100 * MB) } }))
        pour(socket, zeros, 100 * MB)
      },
    ],
    [
      '100 MB in chunks, undeclared',
      (socket) => {
        socket.write(httpRequest({ headers: { 'transfer-encoding': 'chunked' } }))
        pour(socket, chunk(zeros), 100 * MB)
      },
    ],
    [
      '1 GB of zeros in a gzip of 1 MB',
      (socket) => {
        const bomb = gzipSync(Buffer.alloc(64 * MB), { level: 9 }) // a gzip may be several, one after another
        socket.write(
          httpRequest({ headers: { 'content-encoding': 'gzip' }, body: Buffer.concat(Array<Buffer>(15).fill(bomb)) }),
        )
      },
    ],
  ])('%s', async (_name, write) => {
    const hasProc = existsSync(`/proc/${server.child.pid}/status`)
    const before = hasProc ? peak() : 0
    const exchanges = await Promise.all(Array.from({ length: 4 }, () => exchange(server.url, write)))

    for (const { answers, closed } of exchanges) {
      expect(answers.map(({ status }) => status)).toStrictEqual([413])
      expect(JSON.parse(answers[0]?.body ?? '').detail).toMatch(/larger? /)
      expect(closed).toBe(true)
    }
    if (hasProc) expect(peak() - before).toBeLessThan(150)
  })
})

test('after all of it the server is well, and its log holds lines of its own alone', async () => {
  const { status, json } = await post(server.webhook, { title: 'still here', description: 'd' })
  expect({ status, title: json.title, metadata: json.ticket_metadata }).toStrictEqual({
    status: 200,
    title: 'still here',
    metadata: {},
  })
  expect((await get(`${server.webhook}/health`)).json.status).toBe('healthy')

  const closed = once(server.child, 'close')
  expect(await server.stop()).toBe(0)
  await closed
  const lines = server.output().trim().split('\n')
  expect(lines.length).toBeGreaterThan(60)
  for (const line of lines.filter((one) => !one.includes('runs as root'))) {
    expect(Object.keys(JSON.parse(line))).toEqual(expect.arrayContaining(['level', 'time', 'msg']))
    expect(JSON.parse(line).msg).toMatch(/^(listening at|ready|delivery|stopping|stopped)/)
    expect(JSON.parse(line).level).toBe(30)
  }
  expect(server.output()).not.toContain(BODY_MARK.slice(0, 8))
  expect(server.output()).not.toContain(SECRET)
})
