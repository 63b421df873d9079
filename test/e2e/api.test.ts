import { spawnSync } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { discard, get, post, ROOT, startTestServer, temporaryDirectory, type TestServer } from '../server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => discard(server))

const api = (path: string) => get(`${server.url}/api${path}`)
const patch = async (id: number | string, change: unknown) => {
  const response = await fetch(`${server.url}/api/tickets/${id}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(change),
  })
  return { status: response.status, json: JSON.parse(await response.text()) }
}
const ids = ({ json }: { json: { tickets: { id: number }[] } }) => json.tickets.map(({ id }) => id)

describe('POST /api/tickets', () => {
  test('creates a ticket by hand: 201, where it is, and its delivery on record', async () => {
    const answer = await post(`${server.url}/api/tickets`, { title: 'By hand', description: 'd' })
    expect([answer.status, answer.headers.get('location')]).toEqual([201, `/api/tickets/${answer.json.id}`])
    expect((await api(`/tickets/${answer.json.id}`)).json).toEqual(answer.json)
    expect((await api('/deliveries?limit=1')).json.deliveries[0]).toMatchObject({
      path: '/api/tickets',
      outcome: 'created',
    })
  })

  test('updates one that is there: 200', async () => {
    const send = (title: string) =>
      post(`${server.url}/api/tickets`, { title, description: 'd', id: '1', platform: 'hand' })
    const first = await send('one')
    const second = await send('two')
    expect([second.status, second.json.id, second.json.title]).toEqual([200, first.json.id, 'two'])
  })
})

describe('GET /api/tickets', () => {
  test('filters, searches and pages with `next` until it is null', async () => {
    for (let index = 0; index < 5; index += 1) {
      await post(server.webhook, {
        title: `Pagination ${index}`,
        description: 'd',
        category: 'Paging',
        platform: 'shop',
      })
    }
    const first = await api('/tickets?category=PAGING&limit=2')
    const second = await api(`/tickets?category=paging&limit=2&cursor=${first.json.next}`)
    const third = await api(`/tickets?category=paging&limit=2&cursor=${second.json.next}`)
    const seen = [first, second, third].flatMap(ids)
    expect(seen).toEqual(seen.toSorted((a, b) => b - a))
    expect(new Set(seen).size).toBe(5)
    expect(third.json.next).toBeNull()
    expect(ids(await api('/tickets?q=pagination%203&platform=Shop&status=new&priority=medium'))).toHaveLength(1)
    expect(ids(await api('/tickets?q=pagination%20nowhere'))).toEqual([])
  })

  test.each(['status=done', 'priority=top', 'limit=0', 'limit=201', 'cursor=abc', 'category='])(
    '%s is 400 and says so',
    async (query) => {
      const { status, json } = await api(`/tickets?${query}`)
      expect([status, typeof json.detail]).toEqual([400, 'string'])
    },
  )
})

describe('PATCH /api/tickets/:id', () => {
  test('changes status, priority and category, and the history says who did', async () => {
    const { json: ticket } = await post(server.webhook, { title: 't', description: 'd' })
    const { status, json } = await patch(ticket.id, { status: 'resolved', priority: 'urgent', category: ' Refunds ' })
    expect(status).toBe(200)
    expect(json).toMatchObject({
      status: 'resolved',
      priority: 'urgent',
      category: 'refunds',
      resolved_at: expect.any(String),
    })
    expect((await patch(ticket.id, { status: 'open' })).json.resolved_at).toBeNull()
    const { timeline } = (await api(`/tickets/${ticket.id}/timeline`)).json
    expect(timeline).toHaveLength(3)
    expect(timeline[1]).toMatchObject({
      kind: 'updated',
      actor: 'open',
      delivery_id: null,
      changes: { status: { from: 'new', to: 'resolved' }, priority: { from: 'medium', to: 'urgent' } },
    })
  })

  test.each([[{}], [{ status: 'done' }], [{ title: 'no' }], [[]], ['x'], [null]])('%j is 400', async (change) => {
    const { status, json } = await patch(1, change)
    expect([status, typeof json.detail]).toEqual([400, 'string'])
  })

  test('of no ticket is 404', async () => {
    expect((await patch(999_999, { status: 'open' })).status).toBe(404)
    expect((await api('/tickets/999999/timeline')).status).toBe(404)
  })
})

describe('GET /api/deliveries', () => {
  test('shows one with its raw body and masked headers', async () => {
    const body = '{"title":"raw",  "description":"as it came"}'
    await post(server.webhook, body, { 'X-Webhook-Secret': 'hidden' })
    const { id } = (await api('/deliveries?limit=1')).json.deliveries[0]
    const { json } = await api(`/deliveries/${id}`)
    expect(json).toMatchObject({
      body,
      body_encoding: 'utf8',
      outcome: 'created',
      headers: { 'x-webhook-secret': '***' },
    })
  })

  test('bytes that are no text come as base64', async () => {
    await post(server.webhook, new Uint8Array([0x7b, 0xff, 0x00]))
    const { id } = (await api('/deliveries?limit=1&outcome=rejected')).json.deliveries[0]
    expect((await api(`/deliveries/${id}`)).json).toMatchObject({ body: 'e/8A', body_encoding: 'base64' })
  })

  test('one that is not there is 404', async () => {
    expect((await api('/deliveries/999999')).status).toBe(404)
  })
})

describe('the reference', () => {
  test('/openapi.json describes each route by named schemas that are all there', async () => {
    const { json } = await get(`${server.url}/openapi.json`)
    expect(json.openapi).toBe('3.1.0')
    expect(json.info.version).toBe(JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')).version)
    expect(Object.keys(json.paths)).toEqual(
      expect.arrayContaining([
        '/api/integrations/webhook',
        '/api/integrations/webhook/batch',
        '/api/tickets/{id}',
        '/api/deliveries/{id}',
      ]),
    )
    const used = new Set([...JSON.stringify(json).matchAll(/#\/components\/schemas\/(\w+)/g)].map(([, name]) => name))
    expect([...used].toSorted()).toEqual(Object.keys(json.components.schemas).toSorted())
    expect(json.components.schemas.Ticket.properties).toHaveProperty('ticket_metadata')
  })

  test('/docs is a page, and asks no other host for anything', async () => {
    const response = await fetch(`${server.url}/docs`)
    expect(response.status).toBe(200)
    const page = await response.text()
    expect(page).toContain('TicketFlow AI')
    expect(page).not.toMatch(/(?:src|href)="(?:https?:)?\/\//)
  })
})

test('.env is read where the program is started', async () => {
  const folder = await temporaryDirectory()
  await writeFile(join(folder, '.env'), 'PORT=eighty\n')
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'bin/ticketflow.js'), 'serve'], {
    cwd: folder,
    env: { PATH: process.env['PATH'] },
    encoding: 'utf8',
  })
  expect(status).toBe(1)
  expect(stderr).toBe('ticketflow: PORT must be a whole number from 0 to 65535\n')
  await rm(folder, { recursive: true })
})

test('answers are for nobody to keep, to frame or to run; the page of the reference runs its own files alone', async () => {
  const headers = async (path: string) => (await fetch(server.url + path)).headers
  for (const path of ['/api/tickets', '/api/nothing', '/api/integrations/webhook', '/livez']) {
    const said = await headers(path)
    expect(said.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'")
    expect([said.get('x-content-type-options'), said.get('cache-control')]).toEqual(['nosniff', 'no-store'])
  }
  const sent = await post(server.webhook, { title: 'a', description: 'b' })
  expect(sent.headers.get('content-type')).toBe('application/json; charset=utf-8')
  const page = (await headers('/docs')).get('content-security-policy') ?? ''
  expect(page).toContain("script-src 'self';")
  expect(page).not.toMatch(/https?:|upgrade-insecure/)
})
