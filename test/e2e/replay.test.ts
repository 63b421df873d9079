import { randomUUID } from 'node:crypto'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { ask, bearer } from '../ask.ts'
import { freePort, ticketflow } from '../cli.ts'
import { discard, post, startTestServer, type TestServer } from '../server.ts'

const ADMIN = 'a'.repeat(40)
const admin = bearer(ADMIN)
const PATH = '/api/integrations/webhook'

let server: TestServer
let secret: string

const api = (method: string, path: string, body?: unknown, headers = admin) =>
  ask(server.url + path, { method, headers, ...(body === undefined ? {} : { body }) })

const send = (body: unknown, headers: Record<string, string> = {}, path = `${PATH}/forms`) =>
  post(server.url + path, body, { 'x-ticketflow-token': secret, ...headers })

const replay = async (id: number, body?: unknown) => api('POST', `/api/deliveries/${id}/replay`, body)
const newest = async () => (await api('GET', '/api/deliveries?limit=1')).json.deliveries[0]
const tickets = async () => (await api('GET', '/api/tickets?limit=1')).json.tickets[0]?.id ?? 0
const ticket = async (id: number) => (await api('GET', `/api/tickets/${id}`)).json
const setMap = async (fields: Record<string, string>) =>
  expect((await api('PATCH', '/api/sources/forms', { field_map: fields })).status).toBe(200)

beforeAll(async () => {
  server = await startTestServer({ TICKETFLOW_ADMIN_KEY: ADMIN })
  secret = (await api('POST', '/api/sources', { id: 'forms', scheme: 'token' })).json.secret
})
afterAll(() => discard(server))

describe('a delivery that was refused', () => {
  test('makes its ticket once the mapping is mended, and not a second one when it is played again', async () => {
    await setMap({})
    const body = { headline: 'No paper', words: 'The tray is empty.', mail: 'ann@acme.example' }
    expect((await send(body)).status).toBe(400)
    const refused = await newest()
    expect(refused).toMatchObject({ outcome: 'rejected', source: 'forms', replay_of: null })
    const still = await replay(refused.id)
    expect(still.json).toMatchObject({ outcome: 'rejected', status: 400, replay_of: refused.id, ticket_id: null })

    await setMap({ title: 'headline', description: 'words', user_email: 'mail' })
    const before = await tickets()
    const mended = await replay(refused.id)
    expect(mended.json).toMatchObject({ outcome: 'created', status: 200, replay_of: refused.id, source: 'forms' })
    expect(await ticket(mended.json.ticket_id)).toMatchObject({
      title: 'No paper',
      description: 'The tray is empty.',
      user_email: 'ann@acme.example',
    })
    for (const origin of [refused.id, mended.json.id, still.json.id]) {
      const again = await replay(origin)
      expect(again.json).toMatchObject({ outcome: 'updated', ticket_id: mended.json.ticket_id, replay_of: refused.id })
    }
    expect(await tickets()).toBe(before + 1)
  })

  test('whose sender has tried again since is found to be a repetition', async () => {
    await setMap({})
    const body = { headline: 'No ink', words: 'Black is empty.' }
    const key = { 'idempotency-key': randomUUID() }
    expect((await send(body, key)).status).toBe(400)
    const refused = await newest()
    await setMap({ title: 'headline', description: 'words' })
    const { id } = (await send(body, key)).json
    const again = await replay(refused.id)
    expect(again.json).toMatchObject({ outcome: 'duplicate', ticket_id: id })
  })

  test('because nobody proved who sent it is played only on an administrator’s word', async () => {
    const body = { title: 'Under a secret that was wrong', description: 'b' }
    expect((await send(body, { 'x-ticketflow-token': 'wrong' })).status).toBe(401)
    const refused = await newest()
    const plain = await replay(refused.id)
    expect([plain.status, plain.json.detail]).toEqual([409, expect.stringMatching(/nobody proved who sent it/)])
    const writer = (await api('POST', '/api/keys', { name: 'w', scopes: ['write', 'read'] })).json.secret
    const path = `/api/deliveries/${refused.id}/replay`
    expect((await api('POST', path, { unproved: true }, bearer(writer))).status).toBe(403)
    expect((await replay(refused.id, { unproved: true })).json).toMatchObject({ outcome: 'created', source: 'forms' })
  })

  test('whose body was not kept cannot be played, and says so', async () => {
    expect((await post(`${server.url}${PATH}`, { title: 'a', description: 'b' })).status).toBe(401)
    const { status, json } = await replay((await newest()).id, { unproved: true })
    expect([status, json.detail]).toEqual([409, expect.stringMatching(/was not kept/)])
    expect((await replay(999_999)).status).toBe(404)
  })
})

describe('a delivery that was accepted', () => {
  test('is read as things are now, and changes its ticket', async () => {
    await setMap({})
    const { id } = (await send({ title: 'a', description: 'b', topic: 'Billing' })).json
    const origin = (await newest()).id
    await setMap({ category: 'topic' })
    const before = await tickets()
    const played = (await replay(origin)).json
    expect(played).toMatchObject({ outcome: 'updated', ticket_id: id, replay_of: origin })
    expect((await ticket(id)).category).toBe('billing')
    expect(await tickets()).toBe(before)
    const timeline = (await api('GET', `/api/tickets/${id}/timeline`)).json.timeline
    expect(timeline.at(-1)).toMatchObject({
      delivery_id: played.id,
      changes: { category: { from: 'general', to: 'billing' } },
    })
    expect((await api('GET', `/api/deliveries/${played.id}`)).json.headers).toMatchObject({
      'ticketflow-replayed-by': 'key:environment',
      'x-ticketflow-token': '***',
    })
  })

  test('never takes back what came after it', async () => {
    await setMap({})
    const id = randomUUID()
    await send({ id, title: 'first', description: 'b' })
    const origin = (await newest()).id
    const made = (await send({ id, title: 'second', description: 'b' })).json
    expect((await replay(origin)).json).toMatchObject({ outcome: 'ignored', ticket_id: made.id })
    expect((await ticket(made.id)).title).toBe('second')
  })

  test('leaves what a person set', async () => {
    await setMap({})
    const { id } = (await send({ title: 'a', description: 'b', category: 'web' })).json
    const origin = (await newest()).id
    await api('PATCH', `/api/tickets/${id}`, { category: 'billing', status: 'closed' })
    await replay(origin)
    expect(await ticket(id)).toMatchObject({ category: 'billing', status: 'closed' })
  })

  test('that was a batch makes what failed then, and nothing twice', async () => {
    await setMap({})
    const items = [
      { title: 'one', description: 'd' },
      { headline: 'two', description: 'd' },
    ]
    const first = (await send(items, {}, `${PATH}/forms/batch`)).json
    expect(first).toMatchObject({ created_count: 1, failed_count: 1 })
    const origin = (await newest()).id
    await setMap({ title: '$exists(headline) ? headline : title' })
    const before = await tickets()
    for (let time = 0; time < 3; time += 1) expect((await replay(origin)).json.outcome).toBe('created')
    expect(await tickets()).toBe(before + 1)
    expect((await ticket(before + 1)).title).toBe('two')
  })

  test('at the same time from several sides makes one ticket', async () => {
    await setMap({})
    await send({ words: 'many at once' })
    const origin = (await newest()).id
    await setMap({ title: 'words', description: 'words' })
    const before = await tickets()
    const played = await Promise.all(Array.from({ length: 16 }, () => replay(origin)))
    expect(new Set(played.map(({ json }) => json.ticket_id)).size).toBe(1)
    expect(await tickets()).toBe(before + 1)
  })
})

test('the audit log stays whole, and knows each replay’s origin', async () => {
  const { code, stdout } = await ticketflow(['audit', 'verify', '--json'], { TICKETFLOW_DATA_DIR: server.dataDir })
  expect([code, JSON.parse(stdout).ok]).toEqual([0, true])
})

describe('ticketflow replay', () => {
  const run = (...args: string[]) =>
    ticketflow(['replay', ...args, '--url', server.url], { TICKETFLOW_ADMIN_KEY: ADMIN })

  test('plays all that were refused, once, in pages, and says what became of each', async () => {
    await setMap({})
    const made = (await api('POST', '/api/sources', { id: 'many', scheme: 'token', secret })).json
    expect(made.id).toBe('many')
    for (let index = 0; index < 120; index += 1) await send({ words: `w${index}` }, {}, `${PATH}/many`)
    await api('PATCH', '/api/sources/many', { field_map: { title: 'words', description: 'words' } })
    const before = await tickets()
    const first = await run('--source', 'many', '--json')
    expect([first.code, first.stderr]).toEqual([0, ''])
    const { replayed, skipped } = JSON.parse(first.stdout)
    expect([replayed.length, skipped.length, await tickets()]).toEqual([120, 0, before + 120])
    // In the order in which they came.
    const titles = await Promise.all([0, 119].map(async (place) => (await ticket(before + 1 + place)).title))
    expect(titles).toEqual(['w0', 'w119'])
    const second = await run('--source', 'many')
    expect(second.stdout).toBe('There is nothing to play again.\n')
  })

  test('says what is wrong', async () => {
    const none = await run('999999')
    expect([none.code, none.stderr]).toEqual([1, expect.stringMatching(/^ticketflow: No delivery 999999/)])
    const keyless = await ticketflow(['replay', '1', '--url', server.url])
    expect([keyless.code, keyless.stderr]).toEqual([1, expect.stringMatching(/API key is missing.*--key/)])
    const nobody = await ticketflow(['replay', '1', '--url', `http://127.0.0.1:${await freePort()}`])
    expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringMatching(/Nothing listens/)])
  })
})
