import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { discard, post, startTestServer, type TestServer } from '../server.ts'
import { exchange, httpRequest } from '../wire.ts'

const KEY = 'k'.repeat(40)
const WITH_KEY = { authorization: `Bearer ${KEY}` }
const EVIL = 'https://evil.example'

const HEADERS = {
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
}

let closed: TestServer
let open: TestServer
/** Each path that the reference names, with a number for each parameter, and those that it does not name. */
let paths: string[]
beforeAll(async () => {
  ;[closed, open] = await Promise.all([startTestServer({ TICKETFLOW_ADMIN_KEY: KEY }), startTestServer()])
  for (const server of [closed, open]) await post(server.webhook, { title: 'a', description: 'b' }, WITH_KEY)
  const reference = JSON.parse(await (await fetch(`${open.url}/openapi.json`)).text())
  paths = [
    ...Object.keys(reference.paths).map((path) => path.replaceAll(/\{\w+\}/g, '1')),
    '/openapi.json',
    '/api/integrations/webhook/batch',
    '/nowhere',
    '/api/tickets/0',
    '/api/tickets?limit=x',
  ]
  expect(paths.length).toBeGreaterThan(15)
})
afterAll(() => Promise.all([closed, open].map(discard)))

const headersOf = ({ headers }: Response) => Object.fromEntries(headers)

test('every answer to GET and HEAD tells browsers what it is not: good, refused, not there, and without a key', async () => {
  for (const path of paths) {
    for (const [method, headers] of [
      ['GET', WITH_KEY],
      ['HEAD', WITH_KEY],
      ['GET', {}],
    ] as const) {
      const response = await fetch(closed.url + path, { method, headers })
      expect({ path, method, ...headersOf(response) }).toMatchObject({ path, method, ...HEADERS })
    }
  }
})

test('so does every refusal, by whatever method, even of what is no request', async () => {
  const refusals: [string, string, number][] = [
    ['POST', '/api/integrations/webhook', 400],
    ['POST', '/api/keys', 415],
    ['PUT', '/nowhere', 404],
    ['DELETE', '/api/integrations/webhook', 405],
    ['GET', '/%ff', 400],
    ['POST', '/%c0%ae', 400],
  ]
  for (const [method, path, status] of refusals) {
    const { answers } = await exchange(open.url, httpRequest({ method, path, body: '{}' }))
    expect({ path, ...answers[0]?.headers, status: answers[0]?.status }).toMatchObject({ path, ...HEADERS, status })
  }
  const { answers } = await exchange(open.url, 'GARBAGE\r\n\r\n')
  expect(answers[0]?.headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' })
})

test('no answer says what it is made with', async () => {
  for (const path of paths) {
    const { headers } = await fetch(open.url + path)
    expect([headers.get('server'), headers.get('x-powered-by'), headers.get('set-cookie')]).toEqual([null, null, null])
  }
})

describe('pages of other origins are told nothing', () => {
  test('no path answers a preflight, and none names an origin that may read it', async () => {
    const preflight = {
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type, authorization',
    }
    for (const url of [open, closed].flatMap((server) => paths.map((path) => server.url + path))) {
      const ask = (method: string, headers = {}) => fetch(url, { method, headers: { origin: EVIL, ...headers } })
      const answers = [await ask('OPTIONS', preflight), await ask('GET', WITH_KEY), await ask('POST', WITH_KEY)]
      expect({ url, status: answers[0]?.status }).toEqual({
        url,
        status: expect.toSatisfy((s) => s >= 401 && s <= 405),
      })
      const headers = answers.map((answer) => JSON.stringify(Object.fromEntries(answer.headers)))
      expect(headers.join()).not.toMatch(/access-control-/i)
    }
  })

  test('a form on such a page makes no ticket on a server that is open to its machine', async () => {
    const form = { 'content-type': 'text/plain', origin: EVIL, 'sec-fetch-site': 'cross-site' }
    const { status } = await post(open.webhook, '{"title":"forged","description":"d"}', form)
    expect(status).toBe(403)
  })
})

describe('the page of the reference', () => {
  test('runs its own scripts alone, and all that it asks for is there', async () => {
    const page = await fetch(`${open.url}/docs/`)
    const policy = page.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'; script-src 'self';")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(page.headers.get('x-frame-options')).toBe('DENY')
    const html = await page.text()
    expect(html).not.toMatch(/<script(?![^>]*\bsrc=)[^>]*>|\son\w+=|javascript:/i)
    const asked = [...html.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, path = '']) => path)
    expect(asked.length).toBeGreaterThan(3)
    for (const path of asked) {
      const { status, url } = await fetch(new URL(path, `${open.url}/docs/`))
      expect({ path, status, own: url.startsWith(open.url) }).toEqual({ path, status: 200, own: true })
    }
  })
})

describe('nothing answers but what should', () => {
  const GOOD = [
    '/docs',
    '/docs/',
    '/%61pi/tickets',
    '/api/tickets/',
    '/api/tickets?q=%22%27)',
    '/api/tickets?q=NEAR(a%20b)',
    '/',
    '/tickets/1',
    '//',
  ]
  const NOT_THERE = `
    /admin /.env /.git/config /server-status /api /api/ /API/tickets /api%2ftickets /api//tickets
    //api/tickets /api/tickets/../deliveries /api/tickets/%2e%2e/keys /./livez /../../etc/passwd
    /..%2f..%2fetc%2fpasswd /%2e%2e/%2e%2e/etc/passwd /....//etc/passwd /docs/../api/tickets
    /docs/static/../../../package.json /docs/static/..%2f..%2f..%2fpackage.json
    /docs/static/%2e%2e/%2e%2e/package.json /docs/static/..%5c..%5cpackage.json /docs/static/%00 /docs/static/
    /docs/static/swagger-ui.css%00.html /tickets.db /data/tickets.db /package.json /src/main.ts /__proto__
    /constructor /toString /api/tickets;a=1 /api/tickets/1%00 /api/tickets/-1 /api/tickets/0
    /api/tickets/9007199254740993 /api/tickets/..%2fdeliveries /%0d%0aX-Injected:1
    /%E5%98%8A%E5%98%8DX-Injected:1 /% /%zz /%ff /%c0%ae%c0%ae%c0%afetc /api/tickets?limit=-1
    /api/tickets?limit=1e9 /api/tickets?cursor=%00 //evil.example/`
    .trim()
    .split(/\s+/)
  const ask = async (method: string, path: string) => {
    const { answers, raw } = await exchange(open.url, httpRequest({ method, path }))
    expect(answers).toHaveLength(1)
    expect(raw).not.toMatch(/root:x|"dependencies"|SQLite format|\nX-Injected/i)
    expect(raw).not.toMatch(/\r\nlocation:/i)
    return answers[0]?.status ?? 0
  }

  test.concurrent.each(NOT_THERE)('%s', async (path) => {
    expect(await ask('GET', path)).toSatisfy((status: number) => status === 404 || status === 400)
    for (const method of ['POST', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND']) {
      expect(await ask(method, path)).toSatisfy((status: number) => status >= 400 && status < 500)
    }
  })

  test.each(GOOD)('but %s', async (path) => {
    expect(await ask('GET', path)).toBe(200)
  })
})
