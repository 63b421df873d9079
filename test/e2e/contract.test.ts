import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { discard, get, post, startTestServer, type TestServer } from '../server.ts'

// One block a row of the contract's table; the names are the table's.

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => discard(server))

const good = { title: 'Title', description: 'Description' }
const send = (body: unknown, headers: Record<string, string> = {}) => post(server.webhook, body, headers)
const sendBatch = (body: unknown, headers: Record<string, string> = {}) =>
  post(`${server.webhook}/batch`, body, headers)
const newestDelivery = async () => (await get(`${server.url}/api/deliveries?limit=1`)).json.deliveries[0]
const ticketCount = async () => (await get(`${server.url}/api/tickets?limit=1`)).json.tickets[0]?.id ?? 0

describe('the answer', () => {
  test('is 200 and the ticket itself, flat, with absent as null', async () => {
    const { status, json, headers } = await send({
      title: 'Billing inquiry',
      description: 'Question',
      category: 'billing',
      priority: 'low',
      customer_email: 'billing@customer.com',
      id: 'ext-1',
      platform: 'custom_system',
      metadata: { department: 'finance' },
    })
    expect(status).toBe(200)
    expect(headers.get('content-type')).toContain('application/json')
    expect(json).toEqual({
      id: expect.any(Number),
      title: 'Billing inquiry',
      description: 'Question',
      category: 'billing',
      priority: 'low',
      status: 'new',
      user_id: null,
      user_email: 'billing@customer.com',
      ticket_metadata: { platform: 'custom_system', external_id: 'ext-1', department: 'finance' },
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updated_at: json.created_at,
      resolved_at: null,
    })
    expect((await get(`${server.url}/api/tickets/${json.id}`)).json).toEqual(json)
  })
})

describe('both of a pair', () => {
  const cases = [
    { name: 'title over subject', body: { title: 'T', subject: 'S', description: 'd' }, expected: { title: 'T' } },
    { name: 'a blank title is none', body: { title: '  ', subject: 'S', description: 'd' }, expected: { title: 'S' } },
    {
      name: 'description over body',
      body: { title: 't', description: 'D', body: 'B' },
      expected: { description: 'D' },
    },
    { name: 'body when there is no description', body: { title: 't', body: 'B' }, expected: { description: 'B' } },
    {
      name: 'customer_email over user_email',
      body: { ...good, customer_email: 'c@x.example', user_email: 'u@x.example' },
      expected: { user_email: 'c@x.example' },
    },
    {
      name: 'user_email when customer_email is blank',
      body: { ...good, customer_email: '', user_email: 'u@x.example' },
      expected: { user_email: 'u@x.example' },
    },
  ]
  test.each(cases)('$name', async ({ body, expected }) => {
    expect((await send(body)).json).toMatchObject(expected)
  })

  test('the one that lost is kept when it says something else', async () => {
    const { json } = await send({ ...good, subject: 'Other', body: 'Description' })
    expect(json.ticket_metadata).toEqual({ unmapped: { subject: 'Other' } })
  })
})

describe('missing/blank title or description', () => {
  const cases = [
    { body: { description: 'd' }, detail: 'Title or subject is required' },
    { body: { title: ' ', subject: '\t', description: 'd' }, detail: 'Title or subject is required' },
    { body: {}, detail: 'Title or subject is required' },
    { body: { title: null, description: 'd' }, detail: 'Title or subject is required' },
    { body: { title: 't' }, detail: 'Description or body is required' },
    { body: { subject: 't', description: '', body: '\n' }, detail: 'Description or body is required' },
  ]
  test.each(cases)('$body → $detail', async ({ body, detail }) => {
    const answer = await send(body)
    expect(answer.status).toBe(400)
    expect(answer.text).toBe(JSON.stringify({ detail }))
    expect(await newestDelivery()).toMatchObject({ outcome: 'rejected', status: 400, reason: detail, ticket_id: null })
  })
})

describe('priority', () => {
  const cases = [
    ['high', 'high', undefined],
    [' URGENT ', 'urgent', undefined],
    ['Critical', 'urgent', 'Critical'],
    ['P1', 'urgent', 'P1'],
    ['normal', 'medium', 'normal'],
    ['minor', 'low', 'minor'],
    ['1 - Critical', 'urgent', '1 - Critical'],
    ['3', 'medium', '3'],
    ['whatever', 'medium', 'whatever'],
    ['', 'medium', undefined],
  ] as const
  test.each(cases)('%j → %s', async (priority, expected, original) => {
    const { status, json } = await send({ ...good, priority })
    expect(status).toBe(200)
    expect(json.priority).toBe(expected)
    expect(json.ticket_metadata.original_priority).toBe(original)
  })

  test('absent → medium', async () => {
    expect((await send(good)).json.priority).toBe('medium')
  })
})

test('category: trimmed, lower case; absent → general', async () => {
  expect((await send({ ...good, category: '  Feature Request ' })).json.category).toBe('feature request')
  expect((await send(good)).json.category).toBe('general')
})

describe('e-mail', () => {
  test.each(['nobody', 'a@b', 'a b@c.example', '@c.example', 'a@', 'a@b..example', '<a@b.example>'])(
    '%j is 400 naming the field',
    async (email) => {
      const answer = await send({ ...good, customer_email: email })
      expect(answer.status).toBe(400)
      expect(answer.json.detail).toContain('customer_email')
    },
  )

  test.each(['Ann.Lee+x@Sub.Example.COM', 'ünïcode@bücher.example'])('%j is stored as it was sent', async (email) => {
    expect((await send({ ...good, user_email: email })).json.user_email).toBe(email)
  })

  test('is found in any case', async () => {
    const { json } = await send({ ...good, user_email: 'Mixed.Case@Example.com' })
    const found = await get(`${server.url}/api/tickets?q=mixed.case@example.COM`)
    expect(found.json.tickets).toMatchObject([{ id: json.id }])
  })
})

describe('wrong types', () => {
  test('numbers and booleans become strings where a string is meant', async () => {
    const { json } = await send({ title: 42, description: true, user_id: 7, category: 9 })
    expect(json).toMatchObject({ title: '42', description: 'true', user_id: '7', category: '9' })
  })

  test.each(['title', 'description', 'category', 'priority', 'user_id', 'id', 'platform', 'user_email'])(
    'an object or an array in %s is 400 naming the field',
    async (field) => {
      for (const value of [{}, ['x']]) {
        const answer = await send({ ...good, [field]: value })
        expect(answer.status).toBe(400)
        expect(answer.json.detail).toContain(field)
      }
    },
  )

  test('ids are always strings, with digits beyond 2^53 unchanged', async () => {
    expect((await send({ ...good, id: 7 })).json.ticket_metadata.external_id).toBe('7')
    const digits = '123456789012345678901234567890'
    const answer = await send(`{"title":"t","description":"d","id":${digits},"user_id":9007199254740993}`)
    expect(answer.json.ticket_metadata.external_id).toBe(digits)
    expect(answer.json.user_id).toBe('9007199254740993')
  })

  test.each(['category', 'user_id', 'id', 'platform'])('%s of more than 500 characters is 400', async (field) => {
    const answer = await send({ ...good, [field]: 'x'.repeat(501) })
    expect(answer.status).toBe(400)
    expect(answer.json.detail).toContain(field)
  })

  test('several faults are listed, one is not', async () => {
    const several = await send({ title: {}, description: 'd', user_email: 'x' })
    expect(several.status).toBe(400)
    expect(several.json.errors.map(({ field }: { field: string }) => field)).toEqual(['title', 'user_email'])
    expect((await send({ ...good, title: {} })).json).not.toHaveProperty('errors')
  })
})

describe('metadata', () => {
  test('is copied; a top-level id or platform wins over a key of the same name', async () => {
    const { json } = await send({
      ...good,
      id: 'top',
      platform: 'custom',
      metadata: { external_id: 'inner', platform: 'inner', id: 'stays', deep: { a: [1, null] } },
    })
    expect(json.ticket_metadata).toEqual({
      platform: 'custom',
      external_id: 'top',
      id: 'stays',
      deep: { a: [1, null] },
    })
  })

  test.each([['text'], [5], [true], [[1]]])('%j is no object → 400', async (metadata) => {
    const answer = await send({ ...good, metadata })
    expect(answer.status).toBe(400)
    expect(answer.json.detail).toContain('metadata')
  })

  test('depth, key count and size are bounded', async () => {
    const deep = `${'{"a":'.repeat(200)}1${'}'.repeat(200)}`
    expect((await send(`{"title":"t","description":"d","metadata":${deep}}`)).status).toBe(400)
    expect((await send({ ...good, metadata: { big: 'x'.repeat(300_000) } })).status).toBe(400)
  })

  test('__proto__ and constructor are harmless', async () => {
    const answer = await send(
      '{"title":"t","description":"d","metadata":{"__proto__":{"polluted":1},"constructor":{"x":1}},"__proto__":{"status":"hacked"}}',
    )
    expect(answer.status).toBe(200)
    expect(answer.json.status).toBe('new')
    expect((await send(good)).json.ticket_metadata).toEqual({})
  })
})

test('fields nobody mapped are kept under unmapped', async () => {
  const { json } = await send({ ...good, severity: 3, nested: { a: 1 } })
  expect(json.ticket_metadata.unmapped).toEqual({ severity: 3, nested: { a: 1 } })
})

describe('long title', () => {
  test('is cut at 500 characters on a grapheme boundary, the whole text kept', async () => {
    const title = `${'x'.repeat(495)}👨‍👩‍👧‍👦${'y'.repeat(100)}`
    const { json } = await send({ title, description: 'd' })
    expect(json.title).toBe('x'.repeat(495))
    expect(json.ticket_metadata.full_title).toBe(title)
  })

  test('of exactly 500 is not', async () => {
    const { json } = await send({ title: 'z'.repeat(500), description: 'd' })
    expect(json.title).toHaveLength(500)
    expect(json.ticket_metadata).toEqual({})
  })

  test('NUL bytes and lone surrogates are replaced, CRLF → LF', async () => {
    const { json } = await send('{"title":"a\\u0000b\\ud800c","description":"one\\r\\ntwo\\rthree","extra":"\\udfff"}')
    expect(json).toMatchObject({ title: 'a\u{FFFD}b\u{FFFD}c', description: 'one\ntwo\nthree' })
    expect(json.ticket_metadata.unmapped.extra).toBe('\u{FFFD}')
  })
})

describe('same delivery twice', () => {
  test.each(['Idempotency-Key', 'webhook-id'])(
    '%s: one ticket, the stored body byte for byte, and the header',
    async (name) => {
      const headers = { [name]: `key-${name}` }
      const first = await send(good, headers)
      const second = await send(good, headers)
      expect(second.status).toBe(200)
      expect(second.text).toBe(first.text)
      expect(first.headers.get('idempotency-replayed')).toBeNull()
      expect(second.headers.get('idempotency-replayed')).toBe('true')
      expect(await newestDelivery()).toMatchObject({ outcome: 'duplicate', ticket_id: first.json.id })
    },
  )

  test('Idempotency-Key goes before webhook-id', async () => {
    const first = await send(good, { 'Idempotency-Key': 'one', 'webhook-id': 'shared' })
    const second = await send(good, { 'Idempotency-Key': 'two', 'webhook-id': 'shared' })
    expect(second.json.id).not.toBe(first.json.id)
  })

  test('derived from the external id and the body: one ticket, the same answer', async () => {
    const body = { ...good, id: 'derived-1', platform: 'custom' }
    const first = await send(body)
    const second = await send(body)
    expect(second.text).toBe(first.text)
    expect(second.headers.get('idempotency-replayed')).toBe('true')
  })

  test('a key with another body → 422, on record', async () => {
    await send(good, { 'Idempotency-Key': 'reused' })
    const before = await ticketCount()
    const answer = await send({ ...good, title: 'Other' }, { 'Idempotency-Key': 'reused' })
    expect(answer.status).toBe(422)
    expect(answer.json.detail).toContain('Idempotency-Key')
    expect(await ticketCount()).toBe(before)
    expect(await newestDelivery()).toMatchObject({ outcome: 'rejected', status: 422 })
  })

  test('a refused delivery does not use up its key', async () => {
    expect((await send({ title: 't' }, { 'Idempotency-Key': 'mended' })).status).toBe(400)
    expect((await send(good, { 'Idempotency-Key': 'mended' })).status).toBe(200)
  })

  test('64 at once with one key: one ticket and 64 identical bodies', async () => {
    const before = await ticketCount()
    const answers = await Promise.all(Array.from({ length: 64 }, () => send(good, { 'Idempotency-Key': 'at-once' })))
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === null)).toHaveLength(1)
    expect(await ticketCount()).toBe(before + 1)
  })

  test('no key and no external id → always a new ticket', async () => {
    expect((await send(good)).json.id).not.toBe((await send(good)).json.id)
  })
})

describe('same platform+id again with other content', () => {
  test('updates the ticket; its timeline keeps both', async () => {
    const first = await send({ ...good, id: 'up-1', platform: 'custom' })
    const second = await send({ ...good, title: 'Changed', id: 'up-1', platform: 'Custom' })
    expect(second.json).toMatchObject({ id: first.json.id, title: 'Changed', created_at: first.json.created_at })
    const { timeline } = (await get(`${server.url}/api/tickets/${first.json.id}/timeline`)).json
    expect(timeline).toMatchObject([
      { kind: 'created' },
      { kind: 'updated', changes: { title: { from: 'Title', to: 'Changed' } } },
    ])
    expect(await newestDelivery()).toMatchObject({ outcome: 'updated', ticket_id: first.json.id })
  })

  test('an older updated_at never overwrites a newer', async () => {
    const body = { ...good, id: 'up-2', platform: 'custom' }
    await send({ ...body, title: 'new', updated_at: '2026-11-20T10:00:00Z' })
    const { status, json } = await send({ ...body, title: 'old', updated_at: '2026-11-20T09:00:00Z' })
    expect(status).toBe(200)
    expect(json.title).toBe('new')
  })
})

describe('errors', () => {
  test('always have a detail and a request id, also where no route is', async () => {
    for (const path of [
      '/nowhere',
      '/api/tickets/999999',
      '/api/tickets/abc',
      '/api/tickets?limit=0',
      '/api/tickets?cursor=x',
      '/%ff',
    ]) {
      const response = await fetch(`${server.url}${path}`)
      expect(response.status).toBeGreaterThanOrEqual(400)
      expect(response.status).toBeLessThan(500)
      expect(response.headers.get('x-request-id')).toMatch(/./)
      expect(await response.json()).toEqual(expect.objectContaining({ detail: expect.stringMatching(/./) }))
    }
  })

  test("X-Request-Id is on every answer; the sender's own is kept", async () => {
    expect((await send(good)).headers.get('x-request-id')).toMatch(/^[\w-]{36}$/)
    expect((await send(good, { 'X-Request-Id': 'mine-1' })).headers.get('x-request-id')).toBe('mine-1')
  })

  test('404, 405 and 413 say what to do', async () => {
    expect((await post(`${server.url}/api/nothing`, good)).status).toBe(404)
    const removal = await fetch(server.webhook, { method: 'DELETE' })
    expect([removal.status, removal.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST, PUT, PATCH'])
    const large = await send({ ...good, description: 'x'.repeat(1_100_000) })
    expect(large.status).toBe(413)
    expect(large.json.detail).toContain('TICKETFLOW_BODY_LIMIT')
    expect(await newestDelivery()).toMatchObject({ outcome: 'rejected', status: 413 })
  })

  test('403 for a foreign Host or Origin in the open mode, on record without its body', async () => {
    const answer = await send(good, { Origin: 'https://evil.example' })
    expect(answer.status).toBe(403)
    const { id } = await newestDelivery()
    expect((await get(`${server.url}/api/deliveries/${id}`)).json).toMatchObject({
      status: 403,
      source: 'unknown',
      body: null,
    })
    expect((await fetch(`${server.url}/api/tickets`, { headers: { Origin: 'https://evil.example' } })).status).toBe(403)
  })
})

describe('body kinds', () => {
  const form = 'title=From+a+form&description=D%C3%BCrr&metadata[department]=it&id=f-1&platform=custom'
  const cases = [
    { name: 'application/json', type: 'application/json', body: JSON.stringify(good) },
    { name: 'application/vnd.x+json', type: 'application/vnd.x+json; charset=utf-8', body: JSON.stringify(good) },
    { name: 'JSON under text/plain', type: 'text/plain', body: JSON.stringify(good) },
    {
      name: 'JSON under a form type, as curl -d sends it',
      type: 'application/x-www-form-urlencoded',
      body: JSON.stringify(good),
    },
    { name: 'a form', type: 'application/x-www-form-urlencoded', body: form },
    {
      name: 'a form with a payload field',
      type: 'application/x-www-form-urlencoded',
      body: new URLSearchParams({ payload: JSON.stringify(good) }).toString(),
    },
  ]
  test.each(cases)('$name', async ({ type, body }) => {
    expect((await send(body, { 'content-type': type })).status).toBe(200)
  })

  test('JSON with no type at all', async () => {
    const response = await fetch(server.webhook, {
      method: 'POST',
      body: new Uint8Array(Buffer.from(JSON.stringify(good))),
    })
    expect(response.status).toBe(200)
  })

  test("a form's brackets nest, and its metadata may be JSON", async () => {
    const type = 'application/x-www-form-urlencoded'
    const nested = await send('title=t&description=D%C3%BCrr&metadata[department]=it', { 'content-type': type })
    expect(nested.json).toMatchObject({ description: 'Dürr', ticket_metadata: { department: 'it' } })
    const json = await send('title=t&description=d&metadata=%7B%22a%22%3A1%7D', { 'content-type': type })
    expect(json.json.ticket_metadata).toEqual({ a: 1 })
  })

  test('multipart/form-data, with files named', async () => {
    const data = new FormData()
    data.set('title', 'multipart')
    data.set('description', 'Größe')
    data.set('shot', new Blob(['12345']), 'shot.png')
    const response = await fetch(server.webhook, { method: 'POST', body: data })
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({
      title: 'multipart',
      description: 'Größe',
      ticket_metadata: { unmapped: { attachments: expect.stringContaining('shot.png') } },
    })
  })

  test('XML → 415 with a hint', async () => {
    const answer = await send('<ticket/>', { 'content-type': 'application/xml' })
    expect(answer.status).toBe(415)
    expect(answer.json.detail).toContain('JSON')
  })

  test('gzip bodies are accepted within a bound', async () => {
    const headers = { 'content-encoding': 'gzip' }
    expect((await send(gzipSync(JSON.stringify(good)), headers)).status).toBe(200)
    expect(
      (await send(gzipSync(JSON.stringify({ ...good, description: 'x'.repeat(2_000_000) })), headers)).status,
    ).toBe(413)
  })
})

describe('batch', () => {
  test('answers each item alone', async () => {
    const { status, json } = await sendBatch([
      { title: 'Ticket 1', description: '1' },
      { title: 'x' },
      7,
      { subject: 'Ticket 4', body: '4' },
    ])
    expect(status).toBe(200)
    expect(json).toEqual({
      created_count: 2,
      failed_count: 2,
      created_tickets: [
        { index: 0, ticket_id: expect.any(Number), title: 'Ticket 1' },
        { index: 3, ticket_id: expect.any(Number), title: 'Ticket 4' },
      ],
      failed_tickets: [
        { index: 1, error: 'Description or body is required' },
        { index: 2, error: expect.stringContaining('object') },
      ],
    })
  })

  test('[] → zeros', async () => {
    expect((await sendBatch([])).json).toEqual({
      created_count: 0,
      failed_count: 0,
      created_tickets: [],
      failed_tickets: [],
    })
  })

  test('not an array → 400', async () => {
    expect((await sendBatch(good)).status).toBe(400)
  })

  test('at most 1,000 items', async () => {
    const items = Array.from({ length: 1000 }, (_, index) => ({ title: `t${index}`, description: 'd' }))
    expect((await sendBatch(items)).json.created_count).toBe(1000)
    const more = await sendBatch([...items, good])
    expect(more.status).toBe(400)
    expect(more.json.detail).toContain('1000')
  })

  test('sent again with its key: the same answer, nothing new', async () => {
    const headers = { 'Idempotency-Key': 'batch-1' }
    const first = await sendBatch([good, good], headers)
    const before = await ticketCount()
    const second = await sendBatch([good, good], headers)
    expect(second.text).toBe(first.text)
    expect(await ticketCount()).toBe(before)
  })
})

describe('health', () => {
  test("is exactly the specification's body", async () => {
    const response = await fetch(`${server.webhook}/health`)
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({
      status: 'healthy',
      endpoint: 'webhook',
      supported_platforms: ['zendesk', 'freshdesk', 'jira', 'servicenow', 'custom'],
      features: ['flexible_field_mapping', 'automatic_validation', 'batch_processing', 'metadata_preservation'],
    })
  })

  test('/livez, /readyz and /metrics are beside it', async () => {
    expect((await get(`${server.url}/livez`)).status).toBe(200)
    expect((await get(`${server.url}/readyz`)).status).toBe(200)
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    expect(metrics).toMatch(/ticketflow_deliveries_total\{source="\(none\)",outcome="created"\} [1-9]/)
    expect(metrics).toContain('ticketflow_delivery_duration_seconds_bucket')
  })
})

test('GET and HEAD on the webhook path: 200 and a line on how to use it', async () => {
  const response = await fetch(server.webhook)
  expect(response.status).toBe(200)
  expect(await response.text()).toContain('POST')
  expect((await fetch(server.webhook, { method: 'HEAD' })).status).toBe(200)
})
