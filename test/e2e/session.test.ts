import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask, bearer } from '../ask.ts'
import { discard, startTestServer, type TestServer } from '../server.ts'
import { openStream } from '../stream.ts'

const ADMIN = 'a'.repeat(40)
const CSRF = { 'x-ticketflow-csrf': '1' }

/** On a loaded machine a test is to wait, not to be refused. */
const PATIENT = { TICKETFLOW_MAX_LOOP_DELAY_MS: '0' }
let server: TestServer
const signIn = (key: string, headers: Record<string, string> = CSRF) =>
  ask(`${server.url}/api/session`, { method: 'POST', body: { key }, headers })
const cookieOf = ({ headers }: { headers: Headers }) => (headers.get('set-cookie') ?? '').split(';')[0] ?? ''
const signedIn = async (key = ADMIN) => {
  const answer = await signIn(key)
  expect(answer.status).toBe(200)
  return cookieOf(answer)
}
const makeKey = async (scopes: string[]) => {
  const made = await ask(`${server.url}/api/keys`, {
    method: 'POST',
    body: { name: 'one', scopes },
    headers: bearer(ADMIN),
  })
  return made.json as { id: string; secret: string }
}

beforeAll(async () => {
  server = await startTestServer({ ...PATIENT, TICKETFLOW_ADMIN_KEY: ADMIN })
})
afterAll(() => discard(server))

describe('session', () => {
  test('an admin key becomes a cookie that scripts cannot read, and the cookie opens what the key does', async () => {
    expect((await ask(`${server.url}/api/session`)).status).toBe(401)
    const answer = await signIn(ADMIN)
    expect(answer.status).toBe(200)
    const said = answer.headers.get('set-cookie') ?? ''
    expect(said).toMatch(/^ticketflow_session=[\w-]{43}; Expires=[^;]+; Path=\/; HttpOnly; SameSite=Strict$/)
    expect(answer.json).toMatchObject({ open: false, name: 'TICKETFLOW_ADMIN_KEY' })
    const hours = (Date.parse(answer.json.expires_at) - Date.now()) / 3_600_000
    expect(hours).toBeGreaterThan(11.9)
    expect(hours).toBeLessThan(12.1)
    const cookie = cookieOf(answer)
    const who = await ask(`${server.url}/api/session`, { headers: { cookie: `other=1; ${cookie}; more=2` } })
    expect(who.json.scopes).toEqual(['intake', 'read', 'write', 'admin'])
    expect((await ask(`${server.url}/api/keys`, { headers: { cookie } })).status).toBe(200)
    expect((await ask(`${server.url}/api/tickets`)).status).toBe(401)
  })

  test('a session changes nothing for a page of another origin', async () => {
    const cookie = await signedIn()
    const make = (headers: Record<string, string>) =>
      ask(`${server.url}/api/tickets`, {
        method: 'POST',
        body: { title: 't', description: 'd' },
        headers: { cookie, ...headers },
      })
    expect((await make({})).status).toBe(403)
    expect((await make({ 'x-ticketflow-csrf': '0' })).status).toBe(403)
    expect((await make({ ...CSRF, origin: 'https://evil.example' })).status).toBe(403)
    expect((await make({ ...CSRF, origin: 'null' })).status).toBe(403)
    for (const site of ['cross-site', 'same-site', 'none']) {
      expect((await make({ ...CSRF, 'sec-fetch-site': site })).status).toBe(403)
    }
    expect((await make(CSRF)).status).toBe(201)
    expect((await make({ ...CSRF, origin: server.url })).status).toBe(201)
    expect((await make({ ...CSRF, 'sec-fetch-site': 'same-origin' })).status).toBe(201)
  })

  test('nor can such a page sign its visitors in', async () => {
    expect((await signIn(ADMIN, {})).status).toBe(403)
    expect((await signIn(ADMIN, { ...CSRF, 'sec-fetch-site': 'cross-site' })).status).toBe(403)
    expect((await signIn(ADMIN, { ...CSRF, origin: 'http://localhost:1' })).status).toBe(403)
  })

  test('a wrong key is told so, without a box of the browser’s; a key that is no admin’s opens no session', async () => {
    const wrong = await signIn('b'.repeat(40))
    expect(wrong.status).toBe(401)
    expect(wrong.json).toEqual({ detail: 'API key is not known' })
    expect(wrong.headers.get('set-cookie')).toBeNull()
    expect(wrong.headers.get('www-authenticate')).toBe('Bearer')
    const { secret } = await makeKey(['read', 'write'])
    expect((await signIn(secret)).status).toBe(403)
    for (const body of [{}, { key: 7 }, { key: '' }, { key: 'x'.repeat(600) }, { key: ADMIN, more: 1 }]) {
      const { status } = await ask(`${server.url}/api/session`, { method: 'POST', body, headers: CSRF })
      expect(status).toBe(400)
    }
  })

  test('a session ends with its key, and so does its stream of events', async () => {
    const { id, secret } = await makeKey(['admin'])
    const cookie = await signedIn(secret)
    const stream = await openStream(server.url, { cookie })
    await stream.heard(({ event }) => event === 'ready')
    await ask(`${server.url}/api/keys/${id}`, { method: 'DELETE', headers: bearer(ADMIN) })
    for (let tries = 0; (await ask(`${server.url}/api/session`, { headers: { cookie } })).status !== 401; tries += 1) {
      expect(tries).toBeLessThan(300)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    expect(await stream.ended()).toBe(true)
  }, 60_000)

  test('who signs out is out, and the cookie is taken back', async () => {
    const cookie = await signedIn()
    const without = await ask(`${server.url}/api/session`, { method: 'DELETE', headers: { cookie } })
    expect(without.status).toBe(403)
    const out = await ask(`${server.url}/api/session`, { method: 'DELETE', headers: { cookie, ...CSRF } })
    expect(out.status).toBe(204)
    expect(out.headers.get('set-cookie')).toContain('ticketflow_session=; Expires=Thu, 01 Jan 1970')
    expect((await ask(`${server.url}/api/session`, { headers: { cookie } })).status).toBe(401)
  })

  test('a made-up cookie is no session', async () => {
    for (const cookie of [
      'ticketflow_session=',
      `ticketflow_session=${'x'.repeat(43)}`,
      `ticketflow_session=${'x'.repeat(5000)}`,
    ]) {
      expect((await ask(`${server.url}/api/tickets`, { headers: { cookie } })).status).toBe(401)
    }
  })
})

describe('session on an open server', () => {
  test('nobody has to sign in', async () => {
    const open = await startTestServer({ ...PATIENT, TICKETFLOW_PUBLIC_URL: 'https://tickets.example.com' })
    try {
      const { status, json } = await ask(`${open.url}/api/session`)
      expect(status).toBe(200)
      expect(json).toEqual({ open: true, name: null, scopes: ['intake', 'read', 'write', 'admin'], expires_at: null })
      const foreign = await ask(`${open.url}/api/session`, { headers: { origin: 'https://evil.example' } })
      expect(foreign.status).toBe(403)
      const made = await ask(`${open.url}/api/keys`, { method: 'POST', body: { name: 'a', scopes: ['admin'] } })
      const key = made.json.secret
      // Closed from now on; and where the server says it is reached by TLS, the cookie is for that alone.
      const headers = { ...CSRF, origin: 'https://tickets.example.com' }
      const answer = await ask(`${open.url}/api/session`, { method: 'POST', body: { key }, headers })
      expect(answer.status).toBe(200)
      expect(answer.headers.get('set-cookie')).toMatch(/; Secure$/)
    } finally {
      await discard(open)
    }
  })
})
