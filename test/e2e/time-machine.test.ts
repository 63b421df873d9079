import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { ask, bearer } from '../ask.ts'
import { ticketflow } from '../cli.ts'
import { discard, post, startTestServer, type TestServer } from '../server.ts'

const ADMIN = 'a'.repeat(40)
const admin = bearer(ADMIN)

let server: TestServer

const api = (method: string, path: string, body?: unknown) =>
  ask(server.url + path, { method, headers: admin, ...(body === undefined ? {} : { body }) })

/** A source of its own for each test. */
async function source(settings: Record<string, unknown> = {}) {
  const id = `s-${randomUUID()}`
  const { secret } = (await api('POST', '/api/sources', { id, scheme: 'token', ...settings })).json
  const url = `${server.url}/api/integrations/webhook/${id}`
  return {
    id,
    send: (body: unknown) => post(url, body, { 'x-ticketflow-token': secret }),
    simulate: (fieldMap: Record<string, string>, over = {}) =>
      api('POST', `/api/sources/${id}/simulate`, { field_map: fieldMap, ...over }),
    apply: (fieldMap: Record<string, string>) => api('POST', `/api/sources/${id}/apply`, { field_map: fieldMap }),
  }
}

const ticket = async (id: number) => (await api('GET', `/api/tickets/${id}`)).json

beforeAll(async () => {
  server = await startTestServer({ TICKETFLOW_ADMIN_KEY: ADMIN })
})
afterAll(() => discard(server))

describe('a changed field map over what a source has sent', () => {
  test('is shown ticket by ticket, and changes nothing', async () => {
    const { id, send, simulate } = await source()
    const [first, second] = [
      (await send({ id: '1', title: 'a', description: 'b', topic: 'Billing' })).json,
      (await send({ id: '2', title: 'c', description: 'd' })).json,
    ]
    await send({ id: '1', title: 'a2', description: 'b', topic: 'Refunds' })
    await send({ id: '1', title: 'a2', description: 'b', topic: 'Refunds' }) // a retry counts for nothing
    const { status, json } = await simulate({ category: 'topic' })
    expect([status, json]).toEqual([
      200,
      {
        deliveries: 4,
        tickets: 2,
        different: 1,
        by_field: { category: 1 },
        differences: [{ ticket_id: first.id, changes: { category: { from: 'general', to: 'refunds' } }, kept: [] }],
        mended_count: 0,
        mended: [],
        broken_count: 0,
        broken: [],
        skipped: 0,
      },
    ])
    expect((await ticket(first.id)).category).toBe('general')
    expect((await ticket(second.id)).category).toBe('general')
    expect((await api('GET', `/api/sources/${id}`)).json.field_map).toEqual({})
  })

  test('says what would be taken that was refused, and refused that was taken', async () => {
    const { send, simulate } = await source()
    expect((await send({ headline: 'h', words: 'w' })).status).toBe(400)
    const { id } = (await send({ title: 'a', description: 'b', kind: { deep: true } })).json
    const { json } = await simulate({
      title: '$exists(headline) ? headline : title',
      description: '$exists(words) ? words : description',
      category: 'kind',
    })
    expect(json.mended).toEqual([
      { delivery_id: expect.any(Number), reason: 'Title or subject is required', title: 'h' },
    ])
    expect(json.broken).toEqual([
      { delivery_id: expect.any(Number), ticket_id: id, reason: expect.stringMatching(/category/) },
    ])
  })

  test('of which only the newest are asked for looks at no more', async () => {
    const { send, simulate } = await source()
    for (let index = 0; index < 5; index += 1) await send({ title: `t${index}`, description: 'd', topic: 'x' })
    const { json } = await simulate({ category: 'topic' }, { last: 2, show: 1 })
    expect([json.deliveries, json.different, json.differences.length]).toEqual([2, 2, 1])
  })

  test('that does not compile is refused before anything is looked at, and so is a source that is not there', async () => {
    const { simulate } = await source()
    const broken = await simulate({ title: 'a[' })
    expect([broken.status, broken.json.detail]).toEqual([400, expect.stringMatching(/title/)])
    expect((await api('POST', '/api/sources/nobody/simulate', { field_map: {} })).status).toBe(404)
  })
})

describe('applied, it', () => {
  test('becomes the source’s own and makes each ticket what it says, with a line in its history', async () => {
    const { id, send, apply } = await source()
    const made = (await send({ id: '1', title: 'a', description: 'b', topic: 'Billing', lang: 'de' })).json
    const map = { category: 'topic', metadata: '{"language": lang}' }
    const { json } = await apply(map)
    expect([json.different, json.changed]).toEqual([1, 1])
    expect(await ticket(made.id)).toMatchObject({ category: 'billing', ticket_metadata: { language: 'de' } })
    expect((await api('GET', `/api/sources/${id}`)).json.field_map).toEqual(map)
    const { timeline } = (await api('GET', `/api/tickets/${made.id}/timeline`)).json
    expect(timeline.at(-1)).toMatchObject({
      kind: 'remapped',
      actor: 'key:environment',
      changes: { category: { from: 'general', to: 'billing' } },
    })
    expect((await apply(map)).json).toMatchObject({ different: 0, changed: 0 })
    // And the answer that was given then stays what a retry gets.
    const again = await send({ id: '1', title: 'a', description: 'b', topic: 'Billing', lang: 'de' })
    expect([again.headers.get('idempotency-replayed'), again.json.category]).toEqual(['true', 'general'])
  })

  test('leaves what a person set, and goes on doing so', async () => {
    const { send, apply, simulate } = await source()
    const sent = { id: '1', title: 'a', description: 'b', topic: 'Billing', level: 'urgent' }
    const made = (await send(sent)).json
    await api('PATCH', `/api/tickets/${made.id}`, { category: 'by hand' })
    const map = { category: 'topic', priority: 'level' }
    expect((await simulate(map)).json.differences).toEqual([
      { ticket_id: made.id, changes: { priority: { from: 'medium', to: 'urgent' } }, kept: ['category'] },
    ])
    await apply(map)
    expect(await ticket(made.id)).toMatchObject({ category: 'by hand', priority: 'urgent' })
    await send({ ...sent, note: 'another body, the same topic' })
    expect((await ticket(made.id)).category).toBe('by hand')
    await send({ ...sent, topic: 'Refunds' })
    expect((await ticket(made.id)).category).toBe('refunds')
  })

  test('leaves a merged ticket merged; the status that the map makes counts when it is un-merged', async () => {
    const { send, apply, simulate } = await source()
    const [made, other] = [
      (await send({ id: '1', title: 'a', description: 'b', state: 'pending' })).json,
      (await send({ id: '2', title: 'c', description: 'd' })).json,
    ]
    await api('POST', `/api/tickets/${made.id}/merge`, { into: other.id })
    expect((await simulate({ status: 'state' })).json.differences).toEqual([
      { ticket_id: made.id, changes: { status: { from: 'new', to: 'pending' } }, kept: [] },
    ])
    await apply({ status: 'state' })
    expect(await ticket(made.id)).toMatchObject({ status: 'closed', merged_into: other.id })
    expect((await api('POST', `/api/tickets/${made.id}/unmerge`)).json).toMatchObject({ status: 'pending' })
  })
})

test('ticketflow simulate shows the difference and, asked to, makes it', async () => {
  const { id, send } = await source()
  const made = (await send({ id: '1', title: 'a', description: 'b', topic: 'Billing' })).json
  const map = join(server.dataDir, 'map.json')
  await writeFile(map, JSON.stringify({ category: 'topic' }))
  const run = (...args: string[]) =>
    ticketflow(['simulate', id, '--map', map, '--url', server.url, ...args], { TICKETFLOW_ADMIN_KEY: ADMIN })
  const shown = await run()
  expect(shown).toMatchObject({ code: 0, stderr: '' })
  expect(shown.stdout).toContain('1 delivery of 1 ticket: 1 would be different\n  by field: category 1\n')
  expect(shown.stdout).toContain(`ticket ${made.id}\n  category: general → billing\n`)
  expect(shown.stdout).toContain('Nothing was changed')
  expect((await ticket(made.id)).category).toBe('general')
  expect(JSON.parse((await run('--apply', '--json')).stdout)).toMatchObject({ changed: 1 })
  expect((await ticket(made.id)).category).toBe('billing')
  const nobody = await ticketflow(['simulate', 'nobody', '--map', map, '--url', server.url, '--key', ADMIN])
  expect([nobody.code, nobody.stderr]).toEqual([1, 'ticketflow: No source nobody\n'])
})
