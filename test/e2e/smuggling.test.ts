import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { discard, get, post, startTestServer, type TestServer } from '../server.ts'
import { exchange } from '../wire.ts'

// Two parties that see different ends of one request let a sender put a second one past the first of them. So what can
// be read in two ways is refused and its connection closed, and what follows on it is never run.

const PATH = '/api/integrations/webhook'
const TICKET = '{"title":"t","description":"d"}'
const LENGTH = `Content-Length: ${TICKET.length}`
/** The request that nobody may get to see an answer to: its id would be in that. */
const SMUGGLED = `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: smuggled\r\n${LENGTH}\r\n\r\n${TICKET}`
const CHUNKS = `${TICKET.length.toString(16)}\r\n${TICKET}\r\n0\r\n\r\n`

let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ TICKETFLOW_REQUEST_TIMEOUT_S: '2' })
})
afterAll(() => discard(server))

const head = (...lines: string[]) => [`POST ${PATH} HTTP/1.1`, 'Host: localhost', ...lines, '', ''].join('\r\n')
const last = (bytes: string) => bytes.replace('Host: localhost', 'Host: localhost\r\nConnection: close')

async function smuggle(bytes: string) {
  const { answers, raw, closed } = await exchange(server.url, Buffer.from(bytes, 'latin1'))
  expect(raw).not.toContain('smuggled')
  expect(closed).toBe(true)
  return answers.map(({ status }) => status)
}

describe('what can be read in two ways is refused, and what follows is not run', () => {
  const te = (value: string) => head(`Transfer-Encoding:${value}`) + CHUNKS
  test.concurrent.each<[name: string, bytes: string]>([
    [
      'a length, then chunks (CL.TE)',
      `${head(`Content-Length: ${5 + SMUGGLED.length}`, 'Transfer-Encoding: chunked')}0\r\n\r\n`,
    ],
    ['chunks, then a length (TE.CL)', `${head('Transfer-Encoding: chunked', 'Content-Length: 4')}${CHUNKS}`],
    ['two lengths', head(`Content-Length: 0`, LENGTH) + TICKET],
    ['two equal lengths', head(LENGTH, LENGTH) + TICKET],
    ['a list of lengths', head(`${LENGTH}, ${TICKET.length}`) + TICKET],
    ['a length with a sign', head(`Content-Length: +${TICKET.length}`) + TICKET],
    ['a length with a space in it', head('Content-Length: 3 1') + TICKET],
    ['a length with a vertical tab', head(`Content-Length:\v${TICKET.length}`) + TICKET],
    ['a length of nothing', head('Content-Length: ') + TICKET],
    ['an octal length of another base', head('Content-Length: 0o37') + TICKET],
    ['a length with a NUL', head(`Content-Length: ${TICKET.length}\0`) + TICKET],
    ['a length with a space before the colon', head(`Content-Length : ${TICKET.length}`) + TICKET],
    ['chunks of a kind nearly right', te(' xchunked')],
    ['chunks twice', te(' chunked, chunked')],
    ['chunks and then something else', te(' chunked, gzip')],
    ['chunks with a parameter', te(' chunked;q=1')],
    ['chunks after a vertical tab', te('\vchunked')],
    ['chunks in quotes', te(' "chunked"')],
    ['chunks with a NUL', te(' chunked\0')],
    ['identity', te(' identity')],
    ['chunks in a folded line', head('Transfer-Encoding:', ' chunked') + CHUNKS],
    ['chunks behind a bare LF', head('X: y\nTransfer-Encoding: chunked') + CHUNKS],
    ['chunks behind a bare CR', head('X: y\rTransfer-Encoding: chunked', LENGTH) + TICKET],
    ['a first line that is folded', `POST ${PATH} HTTP/1.1\r\n Host: localhost\r\n${LENGTH}\r\n\r\n${TICKET}`],
    ['a header without a name', head(': x', LENGTH) + TICKET],
    ['a header with a space in its name', head('X Y: z', LENGTH) + TICKET],
    ['a header with brackets in its name', head('X(Y): z', LENGTH) + TICKET],
    ['a chunk size with a bare LF', `${head('Transfer-Encoding: chunked')}5\nhello\r\n0\r\n\r\n`],
    ['a chunk extension with a bare LF', `${head('Transfer-Encoding: chunked')}5;a\nhello\r\n0\r\n\r\n`],
    ['a chunk extension with a bare CR', `${head('Transfer-Encoding: chunked')}5;a\rb\r\nhello\r\n0\r\n\r\n`],
    ['a chunk size with 0x', `${head('Transfer-Encoding: chunked')}0x5\r\nhello\r\n0\r\n\r\n`],
    ['a chunk without its end', `${head('Transfer-Encoding: chunked')}5\r\nhello0\r\n\r\n`],
    ['a chunk that ends with a bare LF', `${head('Transfer-Encoding: chunked')}5\r\nhello\n0\r\n\r\n`],
    ['lines that end with LF alone', `POST ${PATH} HTTP/1.1\nHost: localhost\n${LENGTH}\n\n${TICKET}`],
    ['a method with a space before it', ` POST ${PATH} HTTP/1.1\r\nHost: localhost\r\n${LENGTH}\r\n\r\n${TICKET}`],
    ['a method that nobody knows', `SMUG ${PATH} HTTP/1.1\r\nHost: localhost\r\n${LENGTH}\r\n\r\n${TICKET}`],
    ['a space in the path', `POST ${PATH} x HTTP/1.1\r\nHost: localhost\r\n${LENGTH}\r\n\r\n${TICKET}`],
    ['HTTP/0.9', `GET ${PATH}\r\n\r\n`],
    ['HTTP/1.1 without a number', `POST ${PATH} HTTP/\r\nHost: localhost\r\n\r\n`],
    ['HTTP/2 at once', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ])('%s', async (_name, bytes) => {
    expect(await smuggle(bytes + SMUGGLED)).toEqual([400])
  })
})

test.concurrent.each<[name: string, bytes: string, statuses: number[]]>([
  ['a body with a request in it', last(head(`Content-Length: ${SMUGGLED.length}`)) + SMUGGLED, [400]],
  [
    'a chunk with a request in it',
    `${last(head('Transfer-Encoding: chunked'))}${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`,
    [400],
  ],
  ['chunks in capitals', last(head('TRANSFER-ENCODING: Chunked')) + CHUNKS, [200]],
  ['chunk extensions', last(head('Transfer-Encoding: chunked')) + CHUNKS.replace('\r\n', ';a=b;c="d"\r\n'), [200]],
  [
    'a trailer that names a length',
    last(head('Transfer-Encoding: chunked')) + CHUNKS.replace(/\r\n$/, 'Content-Length: 9\r\n\r\n'),
    [400],
  ],
  ['a GET with a body', `${last(head(`Content-Length: ${SMUGGLED.length}`)).replace('POST', 'GET')}${SMUGGLED}`, [200]],
  ['an offer of HTTP/2', last(head('Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__', LENGTH)) + TICKET, [200]],
  [
    'an offer of a WebSocket',
    last(head('Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', LENGTH)) + TICKET,
    [200],
  ],
  ['an expectation, and no body', last(head('Expect: 100-continue', 'Content-Length: 0')), [400]],
])('%s is one request', async (_name, bytes, statuses) => {
  expect(await smuggle(bytes)).toEqual(statuses)
})

test.concurrent.each<[target: string, status: number]>([
  [`POST http://evil.example${PATH}`, 400],
  [`POST http://localhost${PATH}`, 400],
  [`POST HTTPS://user:password@localhost${PATH}`, 400],
  ['POST http://127.0.0.1:1/', 400],
  ['POST *', 400],
  ['OPTIONS *', 400],
  ['POST ?', 400],
  ['TRACE /', 404],
  ['GET //evil.example/%2f..', 404],
])('%s goes nowhere', async (target, status) => {
  const bytes = `${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${LENGTH}\r\n\r\n${TICKET}`
  expect(await smuggle(bytes)).toEqual([status])
})

test('CONNECT opens no tunnel', async () => {
  const { raw, closed } = await exchange(
    server.url,
    'CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\nSSH-2.0-x\r\n',
  )
  expect({ raw: raw.replace(/ .*/s, ''), closed }).toEqual({
    raw: expect.stringMatching(/^(|HTTP\/1\.1)$/),
    closed: true,
  })
  expect(raw).not.toMatch(/^HTTP\/1\.1 2/)
})

test('after all of it not one smuggled request is on record', async () => {
  expect((await post(server.webhook, JSON.parse(TICKET))).status).toBe(200)
  const { json } = await get(`${server.url}/api/deliveries?limit=200`)
  expect(json.deliveries.map((delivery: { request_id: string }) => delivery.request_id)).not.toContain('smuggled')
})
