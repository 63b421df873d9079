import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

import { afterEach, describe, expect, test } from 'vitest'

import { fakeServer, listening, ticketflow } from '../cli.ts'
import { discard, ROOT, startTestServer, type TestServer } from '../server.ts'
import { exchange, httpRequest } from '../wire.ts'

const ADMIN = `admin-${'k'.repeat(40)}`
const WEBHOOK = '/api/integrations/webhook'
const TICKET = '{"title":"t","description":"d"}'

let server: TestServer | undefined
afterEach(async () => {
  await discard(server)
  server = undefined
})

let planted: string[] = []
/** A secret of its own, to be looked for afterwards. */
function plant(where: string): string {
  const secret = `planted-${planted.length}-${where.toLowerCase().replaceAll(/[^a-z]/g, '')}-sesame`
  planted.push(secret)
  return secret
}

const HEADERS = `
  Authorization Proxy-Authorization Cookie Set-Cookie X-API-Key Api-Key ApiKey X-Auth X-Gitlab-Token
  X-Auth-Token X-Amz-Security-Token X-Zendesk-Webhook-Signature X-Hub-Signature-256 Linear-Signature
  X-Shopify-Hmac-Sha256 Webhook-Signature X-Slack-Signature X-Secret X-Password X-Webhook-Secret
  X-Access-Key X-Session-Id X-JWT-Assertion X-Credentials Authentication`
  .trim()
  .split(/\s+/)
const PARAMETERS = `
  token api_key apikey api-key access_token key secret sig signature password pwd auth client_secret TOKEN
  hook[token] %74oken access%5Fkey jwt session`
  .trim()
  .split(/\s+/)

/** Requests that hold a secret wherever senders put one, good and malformed. */
function requests(authorization: string): Parameters<typeof httpRequest>[0][] {
  const withKey = (headers: Record<string, string> = {}) => ({ 'x-api-key': authorization, ...headers })
  const bodies = [TICKET, '{broken', '', `[${TICKET}]`, '<xml/>']
  const paths = [WEBHOOK, `${WEBHOOK}/batch`, '/api/tickets', '/api/preview', '/api/keys', '/nowhere']
  return [
    ...HEADERS.flatMap((name) =>
      bodies.map((body) => ({ headers: withKey({ [name.toLowerCase()]: plant(name) }), body })),
    ),
    ...HEADERS.flatMap((name) =>
      paths.map((path) => ({ path, headers: { [name.toLowerCase()]: plant(name) }, body: TICKET })),
    ),
    ...PARAMETERS.flatMap((name) =>
      paths.map((path) => ({ path: `${path}?a=1&${name}=${plant(name)}&b=2`, headers: withKey(), body: TICKET })),
    ),
    ...PARAMETERS.map((name) => ({
      path: `${WEBHOOK}?a=1;${name}=${plant(name)};b=2`,
      headers: withKey(),
      body: TICKET,
    })),
    ...PARAMETERS.map((name) => ({
      method: 'GET',
      path: `/api/tickets?limit=x&${name}=${plant(name)}`,
      headers: withKey(),
    })),
    ...['referer', 'x-forwarded-uri', 'x-original-url'].flatMap((name) => [
      { headers: withKey({ [name]: `https://a.example/x?token=${plant(name)}` }), body: TICKET },
      { headers: withKey({ [name]: `https://user:${plant(name)}@a.example/x` }), body: TICKET },
    ]),
    { path: `http://user:${plant('userinfo')}@localhost${WEBHOOK}`, headers: withKey(), body: TICKET },
    { path: `http://${plant('user')}@localhost${WEBHOOK}?token=${plant('both')}`, headers: withKey(), body: TICKET },
    { headers: { authorization: `Basic ${Buffer.from(`any:${plant('basic')}`).toString('base64')}` }, body: TICKET },
    { method: 'DELETE', path: `${WEBHOOK}?token=${plant('delete')}`, headers: withKey() },
    { method: 'DELETE', path: `/api/keys/tf_12345678${plant('whole key')}`, headers: withKey() },
    { headers: withKey({ 'content-length': '9'.repeat(30), cookie: plant('broken length') }), body: TICKET },
    { headers: withKey({ cookie: plant('too long a body'), 'content-length': '2000000' }), body: TICKET },
    { headers: withKey({ cookie: plant('a long header'), 'x-long': 'x'.repeat(20_000) }), body: TICKET },
    { headers: withKey({ cookie: plant('an empty key'), 'idempotency-key': '' }), body: TICKET },
    { headers: withKey({ cookie: plant('encoded'), 'content-encoding': 'gzip' }), body: TICKET },
  ]
}

/** Whatever can be read of a server: its answers, its lists, its metrics, its log, its files. */
async function allOf({ url, dataDir, output }: TestServer, answers: string[]): Promise<string> {
  const said = [...answers, output()]
  const read = async (path: string) => {
    const response = await fetch(url + path, { headers: { authorization: `Bearer ${ADMIN}` } })
    said.push(JSON.stringify([...response.headers]), await response.text())
    return said.at(-1) ?? ''
  }
  for (const path of ['/api/tickets?limit=200', '/api/keys', '/metrics', '/openapi.json']) await read(path)
  for (
    let path = '/api/deliveries?limit=200', next = null;
    path !== '';
    path = next === null ? '' : `/api/deliveries?limit=200&cursor=${next}`
  )
    next = JSON.parse(await read(path)).next
  for (const id of [1, 2, 3, 40, 80]) await read(`/api/deliveries/${id}`)
  for (const name of await readdir(dataDir)) said.push((await readFile(join(dataDir, name))).toString('latin1'))
  return said.join('\n')
}

/** Those that are found, in clear or as Basic and JSON write them. */
const shown = (everything: string) =>
  planted.filter((secret) => {
    const padded = ['', 'a', 'aa'].map((before) =>
      Buffer.from(before + secret)
        .toString('base64')
        .slice(4, 40),
    )
    return [secret, ...padded].some((one) => everything.includes(one))
  })

describe('no secret that a request carries can be read anywhere', () => {
  test.each(['trace', 'info'])('with the log at %s', async (level) => {
    planted = []
    server = await startTestServer({ TICKETFLOW_ADMIN_KEY: ADMIN, TICKETFLOW_LOG_LEVEL: level })
    const { url } = server
    const all = requests(ADMIN)
    expect(planted.length).toBeGreaterThan(400)
    const answers: string[] = []
    for (let next = 0; next < all.length; next += 25) {
      const some = all.slice(next, next + 25).map((one) => exchange(url, httpRequest(one ?? {})))
      answers.push(...(await Promise.all(some)).map(({ raw }) => raw))
    }
    expect(new Set(answers.map((raw) => raw.slice(9, 12)))).toEqual(
      new Set(['200', '201', '400', '401', '404', '405', '413', '415', '431']),
    )
    const everything = await allOf(server, answers)
    expect(everything).toContain('***')
    expect(shown(everything)).toEqual([])
    expect(everything.replaceAll(`"x-api-key":"***"`, '')).not.toContain(ADMIN)
    await server.stop()
    expect(shown(server.output())).toEqual([])
  })

  test('nor where the store cannot commit', async () => {
    planted = []
    server = await startTestServer(
      { TICKETFLOW_ADMIN_KEY: ADMIN, TICKETFLOW_LOG_LEVEL: 'trace' },
      { maxFileBytes: 1_500_000 },
    )
    const { url } = server
    const statuses: number[] = []
    const said: string[] = []
    for (let count = 0; count < 30 && statuses.at(-1) !== 503; count += 1) {
      const headers = { 'x-api-key': ADMIN, cookie: plant('cookie'), 'x-gitlab-token': plant('token') }
      const body = JSON.stringify({ title: 't', description: 'x'.repeat(200_000) })
      const { answers, raw } = await exchange(
        url,
        httpRequest({ path: `${WEBHOOK}?token=${plant('query')}`, headers, body }),
      )
      statuses.push(answers[0]?.status ?? 0)
      said.push(raw)
    }
    expect(statuses.at(-1)).toBe(503)
    await server.stop()
    expect(server.output()).toMatch(/"status":503/)
    expect(shown(server.output() + said.join('\n'))).toEqual([])
    expect(server.output()).not.toContain(ADMIN)
  })
})

describe('nobody who lists processes sees a key', () => {
  test.runIf(existsSync('/proc/self/cmdline'))('of the server, or of a check', async () => {
    server = await startTestServer({ TICKETFLOW_ADMIN_KEY: ADMIN })
    expect(await readFile(`/proc/${server.child.pid}/cmdline`, 'utf8')).not.toContain(ADMIN)

    const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
    const slow = fakeServer((_request, response) => {
      ask()
      setTimeout(() => response.end('{}'), 1000)
    })
    await listening(slow, async (port) => {
      const args = ['bin/ticketflow.js', 'check', `http://127.0.0.1:${port}`, '--key', ADMIN]
      const child = spawn(process.execPath, args, { cwd: ROOT, stdio: 'ignore' })
      await asked
      expect(await readFile(`/proc/${child.pid}/cmdline`, 'utf8')).not.toContain(ADMIN.slice(0, 20))
      child.kill()
    })
  })

  test('the key of a check can come by its input', async () => {
    server = await startTestServer({ TICKETFLOW_ADMIN_KEY: ADMIN })
    const child = spawn(process.execPath, ['bin/ticketflow.js', 'check', server.url, '--key', '-'], { cwd: ROOT })
    child.stdin.end(`${ADMIN}\n`)
    expect(await text(child.stdout)).toContain('20 of 20 checks passed')
    const wrong = await ticketflow(['check', server.url, '--key', 'wrong-key-0123456789'])
    expect(wrong.stdout + wrong.stderr).not.toContain('wrong-key-0123456789')
  })
})
