import strings from 'big-list-of-naughty-strings'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { PRIORITIES } from '../../src/core/priority.ts'
import { fixtures, lowerCased } from '../fixtures.ts'
import {
  discard,
  get,
  post,
  endsWithCleanPrototypes,
  startTestServer,
  type TestServer,
  WATCHING_PROTOTYPES,
} from '../server.ts'
import { exchange, httpRequest } from '../wire.ts'

const AT_ONCE = 16

/** The well-known list, and what it leaves out: each alone and in the middle of a text. */
const NAUGHTY: string[] = [
  ...strings,
  '__proto__',
  '\0',
  '\ud800',
  'a\r\nb\rc',
  '{"level":50,"msg":"forged"}',
  '\u{1F600}'.repeat(200),
].flatMap((one) => [one, `before ${one} after`])

let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ ...WATCHING_PROTOTYPES, TICKETFLOW_REQUEST_TIMEOUT_S: '2' })
})
afterAll(() => discard(server))

/** What is documented to become of a text. */
const cleaned = (text: string) =>
  text.replaceAll('\r\n', '\n').replaceAll('\r', '\n').toWellFormed().replaceAll('\0', '\ufffd').trim()

async function each<T>(all: readonly T[], one: (item: T, index: number) => Promise<void>): Promise<void> {
  expect(all.length).toBeGreaterThan(0)
  let next = 0
  const work = async () => {
    for (let index = next++; index < all.length; index = next++) {
      const item = all[index] as T
      await one(item, index).catch((cause: unknown) => {
        throw new Error(`on ${JSON.stringify(item)}`, { cause })
      })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
}

test('the list is there', () => {
  expect(strings.length).toBeGreaterThan(400)
})

test(
  'each string in every field of the flat form comes back as it was sent, but for the documented cleaning',
  () =>
    each(NAUGHTY, async (text, index) => {
      const sent = {
        title: text,
        description: text,
        category: text,
        priority: text,
        user_id: text,
        id: `${index} ${text}`,
        platform: 'naughty',
        metadata: { said: text, [`key ${text}`]: 1, __proto: text },
        [`other ${text}`]: [text],
      }
      const { status, json } = await post(server.webhook, sent)
      const wanted = cleaned(text)
      const isBlank = wanted === ''
      if (isBlank) expect({ status, json }).toEqual({ status: 400, json: { detail: 'Title or subject is required' } })
      if (/^\{\{.*\}\}$/.test(wanted)) expect(json).toEqual({ status: 'ignored', reason: 'unrendered_template' })
      if (isBlank || json.status === 'ignored') return
      expect(status).toBe(200)
      const { json: read } = await get(`${server.url}/api/tickets/${json.id}`)
      const { ticket_metadata: metadata } = read
      expect(wanted.startsWith(read.title)).toBe(true)
      expect(metadata.full_title ?? read.title).toBe(wanted)
      expect(read).toMatchObject({ description: wanted, category: wanted.toLowerCase(), user_id: wanted })
      expect(PRIORITIES).toContain(read.priority)
      expect([undefined, wanted]).toContain(metadata.original_priority)
      expect(metadata).toMatchObject({ platform: 'naughty', external_id: cleaned(`${index} ${text}`) })
      const kept = text.toWellFormed().replaceAll('\0', '\ufffd')
      expect(metadata).toMatchObject({ said: kept, [`key ${kept}`]: 1, unmapped: { [`other ${kept}`]: [kept] } })
    }),
  60_000,
)

test('a ticket is found by each of its words, in whatever script, vowel signs and all', async () => {
  const title = 'हिन्दी में खोज ภาษาไทย สวัสดี ヽ༼ຈل͜ຈ༽ﾉ 日本語 Привет naïve ქართული বাংলা שָׁלוֹם عَرَبِيّ e\u0301te\u0301'
  const { json } = await post(server.webhook, { title, description: 'd' })
  for (const word of [...title.split(' '), 'naive', 'हिन्दी*', 'สวัส*', 'ete']) {
    const found = await get(`${server.url}/api/tickets?q=${encodeURIComponent(word)}`)
    expect({ word, status: found.status, ids: found.json.tickets?.map(({ id }: { id: number }) => id) }).toEqual({
      word,
      status: 200,
      ids: expect.arrayContaining([json.id]),
    })
  }
  const newer = await get(`${server.url}/api/tickets?q=${encodeURIComponent('𞤀𞤣𞤤𞤢𞤥 a𞤀b')}`)
  expect(newer.status).toBe(200)
})

test('each string by form and in a batch', async () => {
  const good = NAUGHTY.filter((text) => cleaned(text) !== '' && text.isWellFormed())
  await each(good, async (text) => {
    const body = new URLSearchParams({ title: 'form', description: text }).toString()
    const { json } = await post(server.webhook, body, { 'content-type': 'application/x-www-form-urlencoded' })
    expect(json.description).toBe(cleaned(text))
  })
  const items = good.slice(0, 1000).map((text) => ({ title: 'item', description: text }))
  const { json } = await post(`${server.webhook}/batch`, items)
  expect(json).toMatchObject({ created_count: items.length, failed_count: 0 })
  const read = await get(`${server.url}/api/tickets/${json.created_tickets.at(-1).ticket_id}`)
  expect(read.json.description).toBe(cleaned(items.at(-1)?.description ?? ''))
}, 60_000)

test('each string in the texts of what real senders send makes no fault', () => {
  const native = fixtures.filter(({ raw_body: body }) => body.startsWith('{'))
  const withText = (value: unknown, text: string): unknown => {
    if (typeof value === 'string') return value.length > 12 && !/^[\w:.+-]+$/.test(value) ? text : value
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map((one) => withText(one, text))
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withText(one, text)]))
  }
  return each(NAUGHTY, async (text, index) => {
    for (const shift of [0, 37, 74]) {
      const fixture = native[(index + shift) % native.length]
      if (fixture === undefined) continue
      const body = parsedOrNull(fixture.raw_body)
      const { status } = await post(server.webhook, withText(body, text), lowerCased(fixture.headers))
      expect({ fixture: fixture.name, status }).toEqual({
        fixture: fixture.name,
        status: expect.toSatisfy((s) => s < 500),
      })
    }
  })
}, 60_000)

test(
  'each string in headers, in the query and in the path makes no fault',
  () =>
    each(NAUGHTY, async (text, index) => {
      const names = [
        'User-Agent',
        'X-Request-Id',
        'Idempotency-Key',
        'Referer',
        'X-Forwarded-For',
        'Cookie',
        'Accept',
        'X-Note',
      ]
      const head = names.map((name) => `${name}: ${text}\r\n`).join('')
      const body = JSON.stringify({ title: `h${index}`, description: 'd' })
      const { raw } = await exchange(
        server.url,
        `POST /api/integrations/webhook HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${head}Content-Length: ${body.length}\r\n\r\n${body}`,
      )
      expect(raw).toMatch(/^HTTP\/1\.1 (200|4\d\d) /)
      for (const header of ['content-type', 'content-encoding', 'content-length']) {
        const value = text.replaceAll(/[^\t -~\u{80}-\u{ff}]/gu, '?')
        const { answers } = await exchange(server.url, httpRequest({ headers: { [header]: value }, body }))
        expect(answers[0]?.status).toSatisfy((status: number) => status === 200 || (status >= 400 && status < 500))
      }
      const escaped = encodeURIComponent(text.toWellFormed())
      for (const path of [
        'tickets?q=',
        'tickets?platform=',
        'tickets?cursor=',
        'tickets/',
        'keys/',
        'deliveries?outcome=',
      ]) {
        const { status } = await fetch(`${server.url}/api/${path}${escaped}`)
        expect({ path, status }).toEqual({ path, status: expect.toSatisfy((s) => s < 500) })
      }
    }),
  60_000,
)

test('after all of it the log is one JSON object a line, nothing was a fault, and all objects are as they were', async () => {
  expect((await post(server.webhook, { title: 'plain', description: 'd' })).json.ticket_metadata).toEqual({})
  expect(await endsWithCleanPrototypes(server)).toBe(true)
  const lines = server.output().trim().split('\n')
  expect(lines.length).toBeGreaterThan(NAUGHTY.length)
  for (const line of lines) {
    expect(JSON.parse(line)).toEqual(expect.objectContaining({ level: expect.any(Number), time: expect.any(String) }))
    expect(JSON.parse(line).msg).toMatch(/^(ready|delivery|stopping|stopped|prototypes|runs as root)/)
    expect(JSON.parse(line).level).toBeLessThan(50)
  }
})

function parsedOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
