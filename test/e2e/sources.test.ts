import { createHmac, randomUUID } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { ask, bearer, until } from '../ask.ts'
import { ticketflow } from '../cli.ts'
import { discard, startTestServer, type TestServer } from '../server.ts'

type Sent = { path?: string; body: string; headers: Record<string, string> }

const HOUR_S = 3600
const PATH = '/api/integrations/webhook'
const ADMIN = 'a'.repeat(40)

const text = (over: Record<string, unknown> = {}) =>
  JSON.stringify({ title: 'Printer on fire', description: 'Since nine.', id: randomUUID(), platform: 'acme', ...over })

/** As Standard Webhooks signs. */
function standard(secret: string, body: string, at = Date.now(), id: string = randomUUID()): Record<string, string> {
  const sentAt = String(Math.floor(at / 1000))
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64')
  const signature = createHmac('sha256', key).update(`${id}.${sentAt}.${body}`).digest('base64')
  return { 'webhook-id': id, 'webhook-timestamp': sentAt, 'webhook-signature': `v1,${signature}` }
}

async function send(server: TestServer, { path = PATH, body, headers }: Sent) {
  const response = await fetch(server.url + path, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  })
  const said = await response.text()
  return { status: response.status, headers: response.headers, json: said.startsWith('{') ? JSON.parse(said) : said }
}

const admin = bearer(ADMIN)

const api = (server: TestServer, method: string, path: string, body?: unknown) =>
  ask(server.url + path, { method, headers: admin, ...(body === undefined ? {} : { body }) })

/** The newest row of the audit log, with its body, and how many tickets there are. */
async function state(server: TestServer, headers: Record<string, string> = admin) {
  const { json } = await ask(`${server.url}/api/deliveries?limit=1`, { headers })
  const [newest] = json.deliveries
  const whole = newest === undefined ? null : (await ask(`${server.url}/api/deliveries/${newest.id}`, { headers })).json
  const tickets = (await ask(`${server.url}/api/tickets?limit=1`, { headers })).json.tickets[0]?.id ?? 0
  return { delivery: whole, tickets }
}

describe('who may send: each door, each way to try it', () => {
  let open: TestServer
  let closed: TestServer
  const keys: Record<string, string> = {}
  let secret = ''
  let old = ''

  beforeAll(async () => {
    open = await startTestServer()
    closed = await startTestServer({ TICKETFLOW_ADMIN_KEY: ADMIN })
    const make = async (name: string, scopes: string[], expires?: string) => {
      const body = { name, scopes, ...(expires && { expires_at: expires }) }
      const { json } = await api(closed, 'POST', '/api/keys', body)
      keys[name] = json.secret
      return json.id
    }
    await make('right', ['intake'])
    await make('reader', ['read', 'write'])
    await make('expired', ['intake'], new Date(Date.now() + 300).toISOString())
    await api(closed, 'DELETE', `/api/keys/${await make('revoked', ['intake'])}`)
    const made = await api(closed, 'POST', '/api/sources', { id: 'signed', scheme: 'standard-webhooks' })
    old = made.json.secret
    secret = (await api(closed, 'POST', '/api/sources/signed/rotate', { overlap_hours: 0 })).json.secret
    const elsewhere = { scheme: 'standard-webhooks', secret, networks: ['10.0.0.0/8', '2001:db8::/32'] }
    await api(closed, 'POST', '/api/sources', { id: 'elsewhere', ...elsewhere })
    await api(closed, 'POST', '/api/sources', { id: 'off', scheme: 'standard-webhooks', secret })
    await api(closed, 'PATCH', '/api/sources/off', { disabled: true })
    await api(closed, 'POST', '/api/sources', { id: 'gone', scheme: 'standard-webhooks', secret })
    await api(closed, 'DELETE', '/api/sources/gone')
    await api(closed, 'POST', '/api/sources', { id: 'keyed', auth: 'key', networks: ['127.0.0.0/8'] })
    await api(closed, 'POST', '/api/sources', { id: 'keyed-elsewhere', auth: 'key', networks: ['10.0.0.0/8'] })
    await new Promise((resolve) => setTimeout(resolve, 350))
  })
  afterAll(() => Promise.all([discard(open), discard(closed)]))

  type Cell = {
    door: 'open' | 'key' | 'source'
    way: string
    sent: () => Sent
    status: number
    /** What the newest row of the audit log says; null where none is written. */
    row: Record<string, unknown> | null
    /** How many tickets it makes. */
    makes: number
    /** Whether the body is kept with a refusal. */
    keeps?: boolean
    /** Whether it was sent before, and is repeated. */
    before?: boolean
    /** What was sent before it, of the same ticket. */
    earlier?: () => Sent
  }

  const key = (name: string): Sent => ({ body: text(), headers: bearer(keys[name] ?? `tf_${'A'.repeat(43)}`) })
  const signed = (id: string, headers: (body: string) => Record<string, string>): Sent => {
    const body = text()
    return { path: `${PATH}/${id}`, body, headers: headers(body) }
  }
  const taken = (source: string) => ({ outcome: 'created', status: 200, source })
  const refused = (status: number, source: string) => ({ outcome: 'rejected', status, source })

  const TICKET = randomUUID()
  const saidAt = (updated_at: string) => text({ id: TICKET, updated_at })

  const CELLS: Cell[] = [
    {
      door: 'open',
      way: 'stale: older than what is stored',
      earlier: () => ({ body: saidAt('2026-11-24T08:00:00Z'), headers: {} }),
      sent: () => ({ body: saidAt('2026-11-24T07:00:00Z'), headers: {} }),
      status: 200,
      row: { outcome: 'ignored', status: 200 },
      makes: 0,
    },
    {
      door: 'key',
      way: 'stale: older than what is stored',
      earlier: () => ({ ...key('right'), body: saidAt('2026-11-24T08:00:00Z') }),
      sent: () => ({ ...key('right'), body: saidAt('2026-11-24T07:00:00Z') }),
      status: 200,
      row: { outcome: 'ignored', status: 200 },
      makes: 0,
    },
    {
      door: 'open',
      way: 'missing: nothing is asked for',
      sent: () => ({ body: text(), headers: {} }),
      status: 200,
      row: { outcome: 'created', status: 200, source: 'open' },
      makes: 1,
    },
    {
      door: 'open',
      way: 'right',
      sent: () => ({ body: text(), headers: {} }),
      status: 200,
      row: taken('open'),
      makes: 1,
    },
    {
      door: 'open',
      way: 'wrong: a page of another origin',
      sent: () => ({ body: text(), headers: { origin: 'https://evil.example' } }),
      status: 403,
      row: refused(403, 'unknown'),
      makes: 0,
    },
    {
      door: 'open',
      way: 'expired, revoked, out of scope: there is no key to be so, and none is asked for',
      sent: () => ({ body: text(), headers: bearer('tf_whatever') }),
      status: 200,
      row: taken('open'),
      makes: 1,
    },
    {
      door: 'open',
      way: 'wrong network: a name that was made to point here',
      sent: () => ({ body: text(), headers: { host: 'evil.example' } }),
      status: 403,
      row: refused(403, 'unknown'),
      makes: 0,
    },
    {
      door: 'open',
      way: 'replayed',
      sent: () => ({ body: text(), headers: {} }),
      before: true,
      status: 200,
      row: { outcome: 'duplicate', status: 200 },
      makes: 0,
    },
    { door: 'key', way: 'right', sent: () => key('right'), status: 200, row: { outcome: 'created' }, makes: 1 },
    { door: 'key', way: 'wrong', sent: () => key('nobody'), status: 401, row: refused(401, 'unknown'), makes: 0 },
    {
      door: 'key',
      way: 'missing',
      sent: () => ({ body: text(), headers: {} }),
      status: 401,
      row: refused(401, 'unknown'),
      makes: 0,
    },
    { door: 'key', way: 'expired', sent: () => key('expired'), status: 401, row: refused(401, 'unknown'), makes: 0 },
    { door: 'key', way: 'revoked', sent: () => key('revoked'), status: 401, row: refused(401, 'unknown'), makes: 0 },
    {
      door: 'key',
      way: 'out of scope',
      sent: () => key('reader'),
      status: 403,
      row: refused(403, 'unknown'),
      makes: 0,
    },
    {
      door: 'key',
      way: 'wrong network, for a source that keys may send to',
      sent: () => ({ ...key('right'), path: `${PATH}/keyed-elsewhere` }),
      status: 403,
      row: refused(403, 'keyed-elsewhere'),
      makes: 0,
    },
    {
      door: 'key',
      way: 'right, for a source that keys may send to',
      sent: () => ({ ...key('right'), path: `${PATH}/keyed` }),
      status: 200,
      row: taken('keyed'),
      makes: 1,
    },
    {
      door: 'key',
      way: 'replayed',
      sent: () => key('right'),
      before: true,
      status: 200,
      row: { outcome: 'duplicate' },
      makes: 0,
    },
    {
      door: 'source',
      way: 'right',
      sent: () => signed('signed', (body) => standard(secret, body)),
      status: 200,
      row: taken('signed'),
      makes: 1,
    },
    {
      door: 'source',
      way: 'wrong',
      sent: () => signed('signed', () => standard(secret, 'another body')),
      status: 401,
      row: refused(401, 'signed'),
      makes: 0,
      keeps: true,
    },
    {
      door: 'source',
      way: 'missing',
      sent: () => signed('signed', () => ({})),
      status: 401,
      row: refused(401, 'signed'),
      makes: 0,
      keeps: true,
    },
    {
      door: 'source',
      way: 'expired: a secret that was rotated out',
      sent: () => signed('signed', (body) => standard(old, body)),
      status: 401,
      row: refused(401, 'signed'),
      makes: 0,
      keeps: true,
    },
    {
      door: 'source',
      way: 'revoked: a source that is disabled',
      sent: () => signed('off', (body) => standard(secret, body)),
      status: 403,
      row: refused(403, 'off'),
      makes: 0,
    },
    {
      door: 'source',
      way: 'revoked: a source that was deleted',
      sent: () => signed('gone', (body) => standard(secret, body)),
      status: 404,
      row: refused(404, 'unknown'),
      makes: 0,
    },
    {
      door: 'source',
      way: 'out of scope: an API key in the place of a signature',
      sent: () => signed('signed', () => bearer(keys['right'] ?? '')),
      status: 401,
      row: refused(401, 'signed'),
      makes: 0,
      keeps: true,
    },
    {
      door: 'source',
      way: 'wrong network',
      sent: () => signed('elsewhere', (body) => standard(secret, body)),
      status: 403,
      row: refused(403, 'elsewhere'),
      makes: 0,
    },
    {
      door: 'source',
      way: 'wrong network, although a header says another',
      sent: () => signed('elsewhere', (body) => ({ ...standard(secret, body), 'x-forwarded-for': '10.0.0.1' })),
      status: 403,
      row: refused(403, 'elsewhere'),
      makes: 0,
    },
    {
      door: 'source',
      way: 'replayed',
      sent: () => signed('signed', (body) => standard(secret, body)),
      before: true,
      status: 200,
      row: { outcome: 'duplicate', source: 'signed' },
      makes: 0,
    },
    {
      door: 'source',
      way: 'stale',
      sent: () => signed('signed', (body) => standard(secret, body, Date.now() - HOUR_S * 1000)),
      status: 401,
      row: refused(401, 'signed'),
      makes: 0,
      keeps: true,
    },
    {
      door: 'source',
      way: 'from the future',
      sent: () => signed('signed', (body) => standard(secret, body, Date.now() + HOUR_S * 1000)),
      status: 401,
      row: refused(401, 'signed'),
      makes: 0,
      keeps: true,
    },
  ]

  test.each(CELLS)('$door: $way → $status', async ({ door, sent, earlier, ...cell }) => {
    const { status, row, makes, keeps = false, before = false } = cell
    const server = door === 'open' ? open : closed
    const headers: Record<string, string> = door === 'open' ? {} : admin
    const what = sent()
    // fetch sets Host itself, so a foreign one goes over a plain socket.
    const post = () => ('host' in what.headers ? rawPost(server, what) : send(server, what))
    if (earlier !== undefined) await send(server, earlier())
    const first = before ? await post() : null
    const was = await state(server, headers)
    const answer = await post()
    expect(answer.status).toBe(status)
    const is = await state(server, headers)
    expect(is.tickets - was.tickets).toBe(makes)
    expect(is.delivery).toMatchObject(row ?? {})
    expect(is.delivery.id - (was.delivery?.id ?? 0)).toBe(1)
    if (status === 200) {
      expect(answer.json).toMatchObject({ title: 'Printer on fire', ticket_metadata: { platform: 'acme' } })
      expect(is.delivery.body).toBe(what.body)
    } else {
      expect(Object.keys(answer.json)).toEqual(['detail'])
      expect(is.delivery.reason).toBe(answer.json.detail)
      expect(is.delivery.body).toBe(keeps ? what.body : null)
    }
    if (first !== null) expect(answer.json).toEqual(first.json)
  })

  test('a caught delivery is not sent anew under a key of somebody’s choice', async () => {
    const body = text({ id: undefined, platform: undefined })
    const headers = standard(secret, body)
    const first = await send(closed, { path: `${PATH}/signed`, body, headers })
    const again = await send(closed, { path: `${PATH}/signed`, body, headers: { ...headers, 'idempotency-key': 'x' } })
    expect(first.json.title).toBe('Printer on fire')
    expect(again.json).toEqual(first.json)
  })
})

/** Over a bare connection, with each header as it is given. */
async function rawPost(server: TestServer, { path = PATH, body, headers }: Sent) {
  const { request } = await import('node:http')
  const { port } = new URL(server.url)
  return new Promise<{ status: number; json: { detail: string } }>((resolve, reject) => {
    const options = { port, host: '127.0.0.1', path, method: 'POST', headers: { ...headers, connection: 'close' } }
    const asked = request(options, (response) => {
      let said = ''
      response.on('data', (chunk: Buffer) => (said += chunk.toString()))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, json: JSON.parse(said) }))
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

describe('a source', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer({
      TICKETFLOW_ADMIN_KEY: ADMIN,
      TICKETFLOW_PUBLIC_URL: 'https://tickets.example.com/',
    })
  })
  afterAll(() => discard(server))

  const make = async (body: Record<string, unknown>) => {
    const made = await api(server, 'POST', '/api/sources', body)
    expect([made.status, made.json.detail]).toEqual([201, undefined])
    return made.json
  }
  const token = (secret: string) => ({ 'x-ticketflow-token': secret })

  test('is made, shown without its secret, changed, rotated with an overlap, disabled and deleted', async () => {
    const made = await make({ id: 'crud', platform: 'zendesk', rate: 600 })
    expect(made).toMatchObject({
      id: 'crud',
      name: 'crud',
      platform: 'zendesk',
      url: `${PATH}/crud`,
      disabled_at: null,
    })
    expect(made.secret).toMatch(/^[\w-]{43}$/)
    const again = await api(server, 'POST', '/api/sources', { id: 'crud' })
    expect([again.status, again.json.detail]).toEqual([409, 'There is a source crud already'])
    const shown = (await api(server, 'GET', '/api/sources/crud')).json
    expect(JSON.stringify(shown)).not.toContain(made.secret)
    expect(shown.secrets).toEqual([{ id: expect.any(String), created_at: expect.any(String), expires_at: null }])
    const changed = await api(server, 'PATCH', '/api/sources/crud', { name: 'Zendesk EU', rate: null })
    expect(changed.json).toMatchObject({ name: 'Zendesk EU', rate: null, platform: 'zendesk' })
    const rotated = await api(server, 'POST', '/api/sources/crud/rotate', {})
    expect(rotated.json.secret).not.toBe(made.secret)
    expect(rotated.json.secrets.map((one: { expires_at: unknown }) => one.expires_at === null)).toEqual([true, false])
    expect((await api(server, 'DELETE', '/api/sources/crud')).status).toBe(204)
    expect((await api(server, 'GET', '/api/sources/crud')).status).toBe(404)
    expect((await api(server, 'GET', '/api/sources')).json.sources).toEqual([])
    await make({ id: 'crud' }) // the name is free again
  })

  test.each([
    ['an id that is none', { id: 'Zendesk EU' }, /id.*lower-case/],
    ['an id that means something else', { id: 'batch' }, /another meaning/],
    ['a platform that is not there', { id: 'x', platform: 'zendisk' }, /no platform zendisk/],
    ['a scheme that its platform has not', { id: 'x', platform: 'github', scheme: 'md5' }, /one of signature, token/],
    ['no address although it goes by address', { id: 'x', auth: 'network' }, /networks/],
    ['a network that is none', { id: 'x', networks: ['10.0.0.0/64'] }, /no address or network/],
    ['a field that is not there', { id: 'x', colour: 'red' }, /colour/],
    ['an expression that does not compile', { id: 'x', field_map: { title: 'a.b[' } }, /title/],
    [
      'a pattern that could run for ever',
      { id: 'x', redaction: [{ kind: 'pattern', name: 'p', pattern: '(a+)\\1', scope: 'raw' }] },
      /pattern/i,
    ],
  ])('with %s is refused with what is wrong', async (_name, body, detail) => {
    const { status, json } = await api(server, 'POST', '/api/sources', body)
    expect([status, json.detail]).toEqual([400, expect.stringMatching(detail)])
  })

  test('keeps taking what the secret before signed, for as long as the rotation says', async () => {
    const { secret } = await make({ id: 'turning', scheme: 'token' })
    const next = (await api(server, 'POST', '/api/sources/turning/rotate', { overlap_hours: 1 })).json.secret
    for (const one of [secret, next]) {
      expect((await send(server, { path: `${PATH}/turning`, body: text(), headers: token(one) })).status).toBe(200)
    }
    await api(server, 'POST', '/api/sources/turning/rotate', { overlap_hours: 0, secret: 'the sender’s own' })
    for (const [one, status] of [
      [secret, 401],
      [next, 401],
    ] as const) {
      expect((await send(server, { path: `${PATH}/turning`, body: text(), headers: token(one) })).status).toBe(status)
    }
  })

  test('is its own tenant: the number that another one uses too is another ticket, unless they share an account', async () => {
    const [one, two, shared] = [
      await make({ id: 'tenant-one', scheme: 'token' }),
      await make({ id: 'tenant-two', scheme: 'token' }),
      await make({ id: 'tenant-same', scheme: 'token', account: 'tenant-one' }),
    ]
    const body = text({ id: '1' })
    const sent = async ({ id, secret }: { id: string; secret: string }) =>
      (await send(server, { path: `${PATH}/${id}`, body, headers: token(secret) })).json.id
    const first = await sent(one)
    expect(await sent(two)).not.toBe(first)
    expect(await sent(shared)).toBe(first)
  })

  test('gives new tickets its defaults, and never overwrites with them', async () => {
    const { secret } = await make({ id: 'presets', scheme: 'token', defaults: { category: 'Web', priority: 'high' } })
    const sent = (over: Record<string, unknown>) =>
      send(server, { path: `${PATH}/presets`, body: text({ id: '7', ...over }), headers: token(secret) })
    expect((await sent({})).json).toMatchObject({ category: 'web', priority: 'high' })
    expect((await sent({ category: 'billing', priority: 'low' })).json).toMatchObject({ category: 'billing' })
    expect((await sent({ title: 'New title' })).json).toMatchObject({ category: 'billing', priority: 'low' })
  })

  test('has a rate of its own', async () => {
    const { secret } = await make({ id: 'slow', scheme: 'token', rate: 3 })
    const statuses: number[] = []
    for (let time = 0; time < 5; time += 1) {
      const { status, headers } = await send(server, { path: `${PATH}/slow`, body: text(), headers: token(secret) })
      statuses.push(status)
      if (status === 429) expect(headers.get('ratelimit-policy')).toBe('"source";q=3;w=60')
    }
    expect(statuses).toEqual([200, 200, 200, 429, 429])
  })

  test('by address alone takes what comes from there', async () => {
    await make({ id: 'printer', auth: 'network', networks: ['127.0.0.1'] })
    expect((await send(server, { path: `${PATH}/printer`, body: text(), headers: {} })).status).toBe(200)
  })

  test('takes batches, probes, and other methods as the webhook does', async () => {
    const { secret } = await make({ id: 'many', scheme: 'token' })
    const body = `[${text()},{"title":"no description"}]`
    const batch = await send(server, { path: `${PATH}/many/batch`, body, headers: token(secret) })
    expect(batch.json).toMatchObject({ created_count: 1, failed_count: 1 })
    expect((await ask(`${server.url}${PATH}/many`)).status).toBe(200)
    expect((await ask(`${server.url}${PATH}/many`, { method: 'DELETE' })).status).toBe(405)
    const put = { method: 'PUT', body: JSON.parse(text()), headers: token(secret) }
    expect((await ask(`${server.url}${PATH}/many`, put)).status).toBe(200)
  })

  test('is verified over the address that its sender calls', async () => {
    const { secret } = await make({ id: 'hubspot', platform: 'hubspot' })
    const body = JSON.stringify([
      { eventId: 1, portalId: 1, subscriptionType: 'ticket.creation', objectId: 5, occurredAt: Date.now() },
    ])
    const at = String(Date.now())
    const signedFor = (url: string) => ({
      'x-hubspot-request-timestamp': at,
      'x-hubspot-signature-v3': createHmac('sha256', secret).update(`POST${url}${body}${at}`).digest('base64'),
    })
    const to = (url: string) => send(server, { path: `${PATH}/hubspot`, body, headers: signedFor(url) })
    expect((await to(`https://elsewhere.example${PATH}/hubspot`)).status).toBe(401)
    expect((await to(`https://tickets.example.com${PATH}/hubspot`)).status).toBe(200)
  })

  test('that signs no body is taken with one body alone', async () => {
    const { secret } = await make({ id: 'mail', platform: 'mailgun' })
    const [timestamp, name] = [String(Math.floor(Date.now() / 1000)), randomUUID()]
    const signature = createHmac('sha256', secret)
      .update(timestamp + name)
      .digest('hex')
    const mail = (subject: string) =>
      send(server, {
        path: `${PATH}/mail`,
        body: new URLSearchParams({
          timestamp,
          token: name,
          signature,
          recipient: 'help@acme.example',
          from: 'a@b.example',
          subject,
          'body-plain': 'It burns.',
        }).toString(),
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      })
    expect((await mail('First')).status).toBe(200)
    expect((await mail('First')).status).toBe(200)
    const other = await mail('Second')
    expect([other.status, other.json.detail]).toEqual([401, expect.stringMatching(/used before with another body/)])
  })

  test('whose secret is of another key is refused for now, and never taken unverified', async () => {
    const { secret } = await make({ id: 'sealed', scheme: 'token' })
    const dataDir = server.dataDir
    await server.stop()
    const env = { TICKETFLOW_ADMIN_KEY: ADMIN, TICKETFLOW_DATA_DIR: dataDir }
    server = await startTestServer({ ...env, TICKETFLOW_SECRET_KEY: 's'.repeat(40) })
    const refused = await send(server, { path: `${PATH}/sealed`, body: text(), headers: token(secret) })
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
    expect(server.output()).toContain('sealed with another key')
    await server.stop()
    server = await startTestServer(env)
    expect((await send(server, { path: `${PATH}/sealed`, body: text(), headers: token(secret) })).status).toBe(200)
  })

  test('no list, log, answer or file shows a secret', async () => {
    const own = `planted-${randomUUID()}`
    const made = await make({ id: 'planted', scheme: 'token' })
    const rotated = (await api(server, 'POST', '/api/sources/planted/rotate', { secret: own })).json
    expect(rotated.secret).toBe(null)
    await send(server, { path: `${PATH}/planted?token=${own}`, body: text(), headers: {} })
    await send(server, { path: `${PATH}/planted`, body: text(), headers: { authorization: `Bearer ${own}` } })
    await send(server, { path: `${PATH}/planted`, body: 'broken', headers: token(made.secret) })
    const shown = [
      server.output(),
      JSON.stringify((await api(server, 'GET', '/api/sources')).json),
      JSON.stringify((await api(server, 'GET', '/api/deliveries?limit=200')).json),
      JSON.stringify((await api(server, 'PATCH', '/api/sources/planted', { name: 'x' })).json),
    ]
    for (const name of await readdir(server.dataDir)) {
      shown.push((await readFile(join(server.dataDir, name))).toString('latin1'))
    }
    for (const secret of [own, made.secret]) for (const one of shown) expect(one).not.toContain(secret)
    expect((await stat(join(server.dataDir, 'secret.key'))).mode & 0o777).toBe(0o600)
  })
})

describe('the first source of an open server', () => {
  test('closes it, and hands whoever made it an admin key', async () => {
    const server = await startTestServer()
    const made = await ask(`${server.url}/api/sources`, { method: 'POST', body: { id: 'first' } })
    expect([made.status, made.json.admin_key]).toEqual([201, expect.stringMatching(/^tf_/)])
    expect((await ask(`${server.url}/api/tickets`)).status).toBe(401)
    expect((await send(server, { body: text(), headers: {} })).status).toBe(401)
    const headers = bearer(made.json.admin_key)
    expect((await ask(`${server.url}/api/sources`, { headers })).status).toBe(200)
    await ask(`${server.url}/api/sources/first`, { method: 'DELETE', headers })
    expect((await ask(`${server.url}/api/tickets`)).status).toBe(401) // and it never opens again
    await discard(server)
  })
})

describe('ticketflow sources', () => {
  test('makes and changes sources that a running server knows a moment later', async () => {
    const server = await startTestServer()
    const env = { TICKETFLOW_DATA_DIR: server.dataDir }
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await ticketflow(['sources', ...args], env)
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      return stdout
    }
    const made = await run('create', 'forms', '--scheme', 'token', '--category', 'web')
    expect(made).toMatch(/^Source forms sends to \/api\/integrations\/webhook\/forms\n.*\n\n {4}[\w-]{43}\n/)
    expect(made).toMatch(/An admin key, shown this once:\n\n {4}tf_[\w-]{43}\n/)
    const [secret = ''] = /^ {4}([\w-]{43})$/m.exec(made)?.slice(1) ?? []
    const sent = () => send(server, { path: `${PATH}/forms`, body: text(), headers: { 'x-api-key': secret } })
    await until(async () => (await sent()).status === 200)
    expect((await sent()).json.category).toBe('web')
    expect(await run('list')).toMatch(/forms +recognised +token +any +\d+ seconds? ago +takes deliveries/)
    await run('disable', 'forms')
    await until(async () => (await sent()).status === 403)
    await run('enable', 'forms')
    await run('update', 'forms', '--category', 'phone', '--network', '127.0.0.1')
    await until(async () => (await sent()).json.category === 'phone')
    expect(JSON.parse(await run('show', 'forms', '--json'))).toMatchObject({ networks: ['127.0.0.1'] })
    const rotated = JSON.parse(await run('rotate', 'forms', '--overlap', '0', '--json'))
    await until(async () => (await sent()).status === 401)
    expect(rotated.secrets).toHaveLength(1)
    await run('delete', 'forms')
    await until(async () => (await sent()).status === 404)
    const missing = await ticketflow(['sources', 'show', 'forms'], env)
    expect([missing.code, missing.stderr]).toEqual([1, 'ticketflow: No source forms\n'])
    await discard(server)
  })
})

describe('redaction', () => {
  const CARD = '4111 1111 1111 1111'
  const MAIL = 'ann.planted@acme.example'
  const BADGE = 'EMP-778899'
  const rules = [
    { kind: 'card', scope: 'both' },
    { kind: 'email', scope: 'both' },
    { kind: 'pattern', name: 'badge', pattern: 'EMP-\\d{6}', scope: 'both' },
  ]

  test('leaves nothing of what it takes out in any answer, table, log or file, and all else works as before', async () => {
    let server = await startTestServer({ TICKETFLOW_ADMIN_KEY: ADMIN })
    const made = (await api(server, 'POST', '/api/sources', { id: 'hidden', scheme: 'token', redaction: rules })).json
    const body = text({
      id: '1',
      description: `My card is ${CARD}, badge ${BADGE}`,
      customer_email: MAIL,
      metadata: { contact: `mail ${MAIL}`, card: 4111111111111111 },
    }).replace('@', '\\u0040')
    const path = `${PATH}/hidden?who=${encodeURIComponent(MAIL)}`
    const headers = { 'x-ticketflow-token': made.secret, 'x-customer': MAIL, 'idempotency-key': `${MAIL}-1` }
    const first = await send(server, { path, body, headers })
    expect(first.json).toMatchObject({
      description: 'My card is [card], badge [badge]',
      user_email: null,
      ticket_metadata: { contact: 'mail [email]', card: '[card]' },
    })
    const again = await send(server, { path, body, headers })
    expect([again.headers.get('idempotency-replayed'), again.json]).toEqual(['true', first.json])
    // Told apart by what was sent, although what is kept is the same.
    const other = body.replace('4111 1111', '4000 0000').replace('1111 1111', '0000 0002')
    const fresh = { ...headers, 'idempotency-key': `${MAIL}-2` }
    expect((await send(server, { path, body: other, headers: fresh })).headers.get('idempotency-replayed')).toBe(null)
    await send(server, { path, body: `broken ${MAIL}`, headers: fresh })
    const batch = {
      path: path.replace('?', '/batch?'),
      body: `[${body},{"title":"${MAIL}"}]`,
      headers: { ...headers, 'idempotency-key': `${MAIL}-3` },
    }
    expect((await send(server, batch)).json).toMatchObject({ created_count: 1, failed_count: 1 })

    const { json } = await api(server, 'GET', '/api/deliveries?limit=50')
    const whole = await Promise.all(
      json.deliveries.map(async ({ id }: { id: number }) => (await api(server, 'GET', `/api/deliveries/${id}`)).json),
    )
    const kept = whole.find(({ id }) => id === 1)
    expect(JSON.parse(kept.body)).toMatchObject({ customer_email: '[email]', metadata: { card: '[card]' } })
    expect(kept.headers['x-customer']).toBe('[email]')
    const replayed = await api(server, 'POST', '/api/deliveries/1/replay')
    expect(replayed.json).toMatchObject({ ticket_id: first.json.id })

    await server.stop()
    const shown = [JSON.stringify(whole), server.output(), JSON.stringify(first.json)]
    for (const name of await readdir(server.dataDir)) {
      shown.push((await readFile(join(server.dataDir, name))).toString('latin1'))
    }
    for (const planted of [CARD, CARD.replaceAll(' ', ''), 'ann.planted', 'ann.planted%40', BADGE]) {
      for (const one of shown) expect(one).not.toContain(planted)
    }
    const env = { TICKETFLOW_DATA_DIR: server.dataDir }
    const verified = await ticketflow(['audit', 'verify'], env)
    expect([verified.code, verified.stderr]).toEqual([0, ''])
    server = await startTestServer({ TICKETFLOW_ADMIN_KEY: ADMIN, ...env })
    await discard(server)
  })
})
