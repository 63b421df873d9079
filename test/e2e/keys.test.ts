import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { type Ask, ask, basic, bearer, until } from '../ask.ts'
import { ticketflow } from '../cli.ts'
import { discard, startTestServer, temporaryDirectory, type TestServer } from '../server.ts'

const TICKET = { title: 'a', description: 'b' }
const DAY_MS = 86_400_000

async function create(server: TestServer, ...args: string[]): Promise<{ id: string; secret: string }> {
  const env = { TICKETFLOW_DATA_DIR: server.dataDir }
  const { code, stdout, stderr } = await ticketflow(['keys', 'create', ...args, '--json'], env)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

describe('a server with keys', () => {
  let server: TestServer
  const keys: Record<string, string> = {}
  let expired: string
  let revoked: string

  beforeAll(async () => {
    server = await startTestServer()
    expect((await ask(`${server.url}/api/tickets`)).status).toBe(200)
    for (const scope of ['intake', 'read', 'write', 'admin']) {
      keys[scope] = (await create(server, `may ${scope}`, '--scope', scope)).secret
    }
    const old = await create(server, 'old', '--scope', 'admin')
    await ticketflow(['keys', 'revoke', old.id], { TICKETFLOW_DATA_DIR: server.dataDir })
    revoked = old.secret
    await until(
      async () => (await ask(`${server.url}/api/keys`, { headers: bearer(keys['admin'] ?? '') })).status === 200,
    )
    const short = await ask(`${server.url}/api/keys`, {
      method: 'POST',
      headers: bearer(keys['admin'] ?? ''),
      body: { name: 'short', scopes: ['admin'], expires_at: new Date(Date.now() + 1500).toISOString() },
    })
    expired = short.json.secret
    expect(short.status).toBe(201)
    await until(async () => (await ask(`${server.url}/api/tickets`, { headers: bearer(revoked) })).status === 401)
    await until(async () => (await ask(`${server.url}/api/tickets`, { headers: bearer(expired) })).status === 401)
  })
  afterAll(() => discard(server))

  const credentials = (): Record<string, Record<string, string>> => ({
    none: {},
    wrong: bearer(`tf_${'A'.repeat(43)}`),
    'cut short': bearer(keys['admin']?.slice(0, -1) ?? ''),
    empty: bearer(''),
    huge: bearer('x'.repeat(5000)),
    revoked: bearer(revoked),
    expired: bearer(expired),
    intake: bearer(keys['intake'] ?? ''),
    read: bearer(keys['read'] ?? ''),
    write: bearer(keys['write'] ?? ''),
    admin: bearer(keys['admin'] ?? ''),
  })

  const BAD = new Set(['none', 'wrong', 'cut short', 'empty', 'huge', 'revoked', 'expired'])
  const doors: { name: string; open: string[]; path: string; ask: Ask; good: number }[] = [
    {
      name: 'send a ticket',
      open: ['intake', 'admin'],
      path: '/api/integrations/webhook',
      ask: { method: 'POST', body: TICKET },
      good: 200,
    },
    {
      name: 'send a batch',
      open: ['intake', 'admin'],
      path: '/api/integrations/webhook/batch',
      ask: { method: 'POST', body: [TICKET] },
      good: 200,
    },
    {
      name: 'make a ticket by hand',
      open: ['intake', 'admin'],
      path: '/api/tickets',
      ask: { method: 'POST', body: TICKET },
      good: 201,
    },
    {
      name: 'preview',
      open: ['intake', 'admin'],
      path: '/api/preview',
      ask: { method: 'POST', body: TICKET },
      good: 200,
    },
    { name: 'list tickets', open: ['read', 'admin'], path: '/api/tickets', ask: {}, good: 200 },
    { name: 'list deliveries', open: ['read', 'admin'], path: '/api/deliveries', ask: {}, good: 200 },
    { name: 'list platforms', open: ['read', 'admin'], path: '/api/platforms', ask: {}, good: 200 },
    { name: 'read metrics', open: ['read', 'admin'], path: '/metrics', ask: {}, good: 200 },
    { name: 'read the reference', open: ['read', 'admin'], path: '/openapi.json', ask: {}, good: 200 },
    { name: 'find that there is no such address', open: ['read', 'admin'], path: '/api/nothing', ask: {}, good: 404 },
    {
      name: 'change a ticket',
      open: ['write', 'admin'],
      path: '/api/tickets/1',
      ask: { method: 'PATCH', body: { priority: 'high' } },
      good: 200,
    },
    {
      name: 'merge a ticket',
      open: ['write', 'admin'],
      path: '/api/tickets/1/merge',
      ask: { method: 'POST', body: { into: 2 } },
      good: 200,
    },
    {
      name: 'un-merge a ticket',
      open: ['write', 'admin'],
      path: '/api/tickets/1/unmerge',
      ask: { method: 'POST' },
      good: 200,
    },
    { name: 'list articles', open: ['read', 'admin'], path: '/api/articles', ask: {}, good: 200 },
    { name: 'search', open: ['read', 'admin'], path: '/api/search?q=x', ask: {}, good: 200 },
    {
      name: 'add an article',
      open: ['write', 'admin'],
      path: '/api/articles',
      ask: { method: 'POST', body: { body: 'x' } },
      good: 201,
    },
    { name: 'list keys', open: ['admin'], path: '/api/keys', ask: {}, good: 200 },
    { name: 'make a key', open: ['admin'], path: '/api/keys', ask: { method: 'POST', body: { name: 'x' } }, good: 201 },
    { name: 'revoke a key', open: ['admin'], path: '/api/keys/tf_none', ask: { method: 'DELETE' }, good: 404 },
  ]

  const newest = async () =>
    (await ask(`${server.url}/api/tickets?limit=1`, { headers: bearer(keys['read'] ?? '') })).json.tickets[0]?.id ?? 0

  test.each(doors)('$name: only with a key that may', async ({ open, path, ask: what, good }) => {
    await ask(server.url + '/api/tickets', { method: 'POST', body: TICKET, headers: bearer(keys['admin'] ?? '') })
    for (const [name, headers] of Object.entries(credentials())) {
      const before = await newest()
      const { status, json, headers: said } = await ask(server.url + path, { ...what, headers })
      if (open.includes(name)) {
        expect([name, status]).toEqual([name, good])
        continue
      }
      expect([name, status]).toEqual([name, BAD.has(name) ? 401 : 403])
      expect(json.detail).toMatch(/API key/)
      expect(said.has('www-authenticate')).toBe(status === 401)
      expect(await newest()).toBe(before)
    }
  })

  test.each(['/livez', '/readyz', '/api/integrations/webhook/health', '/api/integrations/webhook'])(
    '%s needs none: whoever watches or probes has none',
    async (path) => {
      expect((await ask(server.url + path)).status).toBe(200)
    },
  )

  test('a key may come as a bearer token, as X-API-Key, and as the password or the user of Basic', async () => {
    const key = keys['read'] ?? ''
    for (const headers of [bearer(key), { 'x-api-key': key }, basic('any', key), basic(key, '')]) {
      expect((await ask(`${server.url}/api/tickets`, { headers })).status).toBe(200)
    }
  })

  test('ticketflow check passes with a key, and says what is missing without', async () => {
    const both = (await create(server, 'check', '--scope', 'intake', 'read')).secret
    await until(async () => (await ask(`${server.url}/api/tickets`, { headers: bearer(both) })).status === 200)
    const passed = await ticketflow(['check', server.url, '--key', both])
    expect([passed.code, passed.stdout.includes('20 of 20 checks passed')]).toEqual([0, true])
    const failed = await ticketflow(['check', server.url])
    expect([failed.code, failed.stdout.includes('API key is missing')]).toEqual([1, true])
  })

  test('a refused delivery is on record with its reason, without its body, and under no name', async () => {
    const refused = await ask(`${server.url}/api/integrations/webhook`, {
      method: 'POST',
      body: TICKET,
      headers: bearer('nonsense'),
    })
    const { json } = await ask(`${server.url}/api/deliveries?outcome=rejected&limit=1`, {
      headers: bearer(keys['read'] ?? ''),
    })
    const [delivery] = json.deliveries
    expect(delivery).toMatchObject({ status: 401, source: 'unknown', request_id: refused.headers.get('x-request-id') })
    const whole = await ask(`${server.url}/api/deliveries/${delivery.id}`, { headers: bearer(keys['read'] ?? '') })
    expect(whole.json).toMatchObject({ body: null, headers: { authorization: '***' } })
  })

  test('a sender goes by its key: on the delivery, on the timeline, and for idempotency keys', async () => {
    const send = (key: string) =>
      ask(`${server.url}/api/integrations/webhook`, {
        method: 'POST',
        body: TICKET,
        headers: { ...bearer(key), 'idempotency-key': 'the same' },
      })
    const [first, again, other] = [
      await send(keys['intake'] ?? ''),
      await send(keys['intake'] ?? ''),
      await send(keys['admin'] ?? ''),
    ]
    expect(again.json.id).toBe(first.json.id)
    expect(other.json.id).not.toBe(first.json.id)
    await ask(`${server.url}/api/tickets/${first.json.id}`, {
      method: 'PATCH',
      body: { status: 'closed' },
      headers: bearer(keys['write'] ?? ''),
    })
    const { json } = await ask(`${server.url}/api/tickets/${first.json.id}/timeline`, {
      headers: bearer(keys['read'] ?? ''),
    })
    expect(json.timeline.map(({ actor }: { actor: string }) => actor)).toEqual([
      `key:${keys['intake']?.slice(0, 11)}`,
      `key:${keys['write']?.slice(0, 11)}`,
    ])
  })

  test('no list, log, file or refusal shows a key', async () => {
    const answers = [
      (await ask(`${server.url}/api/keys`, { headers: bearer(keys['admin'] ?? '') })).json,
      (await ask(`${server.url}/api/deliveries?limit=200`, { headers: bearer(keys['admin'] ?? '') })).json,
      (await ask(`${server.url}/api/tickets`, { headers: bearer(revoked) })).json,
      (await ticketflow(['keys', 'list', '--json'], { TICKETFLOW_DATA_DIR: server.dataDir })).stdout,
      server.output(),
    ]
    for (const name of await readdir(server.dataDir))
      answers.push((await readFile(join(server.dataDir, name))).toString('latin1'))
    for (const secret of [...Object.values(keys), revoked, expired]) {
      for (const answer of answers) expect(JSON.stringify(answer)).not.toContain(secret.slice(12))
    }
  })

  test('when a key was last used is known, and survives a restart', async () => {
    const shown = async () => {
      const { json } = await ask(`${server.url}/api/keys`, { headers: bearer(keys['admin'] ?? '') })
      return json.keys.find(({ name }: { name: string }) => name === 'may read')
    }
    await server.stop()
    server = await startTestServer({ TICKETFLOW_DATA_DIR: server.dataDir })
    expect(Date.parse((await shown()).last_used_at)).toBeGreaterThan(Date.now() - DAY_MS)
    expect((await ask(`${server.url}/api/tickets`)).status).toBe(401)
  })
})

describe('the first start', () => {
  test('where others can reach it prints one admin key, once, and is closed but to that', async () => {
    const dataDir = await temporaryDirectory()
    const env = { HOST: '0.0.0.0', TICKETFLOW_DATA_DIR: dataDir }
    const first = await startTestServer(env)
    const url = first.url.replace('0.0.0.0', '127.0.0.1')
    const [secret = ''] = /tf_[\w-]{43}/.exec(first.output()) ?? []
    expect(secret).not.toBe('')
    expect(
      first
        .output()
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .join('\n'),
    ).not.toContain(secret)
    expect((await ask(`${url}/api/tickets`)).status).toBe(401)
    expect((await ask(`${url}/api/keys`, { headers: bearer(secret) })).status).toBe(200)
    await first.stop()
    const second = await startTestServer(env)
    expect(second.output()).not.toMatch(/tf_[\w-]{43}/)
    expect(
      (await ask(`${second.url.replace('0.0.0.0', '127.0.0.1')}/api/keys`, { headers: bearer(secret) })).status,
    ).toBe(200)
    await discard(second)
  })

  test('with TICKETFLOW_ADMIN_KEY prints none and takes that one, also on loopback', async () => {
    const key = 'k'.repeat(40)
    const server = await startTestServer({ TICKETFLOW_ADMIN_KEY: key })
    expect(server.output()).not.toMatch(/tf_[\w-]{43}/)
    expect((await ask(`${server.url}/api/tickets`)).status).toBe(401)
    expect((await ask(`${server.url}/api/keys`, { headers: bearer(key) })).json).toEqual({ keys: [] })
    await discard(server)
  })
})

describe('ticketflow keys', () => {
  test('makes, lists and revokes keys without a server, and says what it did', async () => {
    const env = { TICKETFLOW_DATA_DIR: await temporaryDirectory() }
    const made = await ticketflow(['keys', 'create', 'zendesk', '--days', '30'], env)
    expect(made.stdout).toMatch(
      /^Key tf_[\w-]{8} for zendesk, scopes intake, until \d{4}-\d\d-\d\d\. Shown this once:\n\n {4}tf_[\w-]{43}\n/,
    )
    expect(made.stdout).toContain('It is the first: from now on every request needs a key.')
    const [id = ''] = /tf_[\w-]{8}/.exec(made.stdout) ?? []
    expect((await ticketflow(['keys', 'list'], env)).stdout).toMatch(new RegExp(`${id} +zendesk +intake .* good until`))
    expect((await ticketflow(['keys', 'revoke', id], env)).stdout).toBe(`Key ${id} opens nothing any more.\n`)
    expect((await ticketflow(['keys', 'revoke', id], env)).stdout).toBe(`Key ${id} was revoked before.\n`)
    expect((await ticketflow(['keys', 'list'], env)).stdout).toContain('revoked')
    const none = await ticketflow(['keys', 'revoke', 'tf_nothing'], env)
    expect([none.code, none.stderr]).toEqual([
      1,
      'ticketflow: There is no key tf_nothing; `ticketflow keys list` shows all\n',
    ])
    const scope = await ticketflow(['keys', 'create', 'x', '--scope', 'everything'], env)
    expect([scope.code, scope.stderr.includes('intake, read, write, admin')]).toEqual([1, true])
  })
})
