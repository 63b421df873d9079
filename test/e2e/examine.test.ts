import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask, bearer } from '../ask.ts'
import { discard, post, ROOT, startTestServer, type TestServer } from '../server.ts'

const ADMIN = 'a'.repeat(40)
/** On a loaded machine a test is to wait, not to be refused. */
const PATIENT = { TICKETFLOW_MAX_LOOP_DELAY_MS: '0' }
let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ ...PATIENT, TICKETFLOW_ADMIN_KEY: ADMIN })
})
afterAll(() => discard(server))

const admin = (path: string, body?: unknown) =>
  ask(`${server.url}/api${path}`, { headers: bearer(ADMIN), ...(body === undefined ? {} : { method: 'POST', body }) })
const sent = async (body: unknown, headers: Record<string, string> = {}) => {
  await post(server.webhook, body, { ...bearer(ADMIN), ...headers })
  return Number((await admin('/deliveries?limit=1')).json.deliveries[0].id)
}

describe('what would become of a delivery', () => {
  test('of the flat form each field says where it comes from', async () => {
    const id = await sent({
      subject: 'Printer on fire',
      body: 'Since nine.',
      priority: 'medium',
      customer_email: 'ann@example.com',
      id: 7,
      platform: 'acme',
      metadata: { 'a/b': 'x', __proto__x: 1 },
    })
    const { status, json } = await admin(`/deliveries/${id}/preview`)
    expect(status).toBe(200)
    expect(json.preview.ticket.title).toBe('Printer on fire')
    expect(json.origins).toMatchObject({
      title: ['/subject'],
      description: ['/body'],
      priority: ['/priority'],
      user_email: ['/customer_email'],
      'ticket_metadata.external_id': ['/id'],
      'ticket_metadata.a/b': ['/metadata/a~1b'],
    })
  })

  test('of a native payload too', async () => {
    const file = `${ROOT}/test/fixtures/platforms/zendesk-ticket-created-event.json`
    const fixture = JSON.parse(readFileSync(file, 'utf8'))
    const id = await sent(fixture.raw_body)
    const { json } = await admin(`/deliveries/${id}/preview`)
    expect(json.preview.platform).toBe('zendesk')
    expect(json.origins.title).toEqual(['/detail/subject'])
    expect(json.origins.description).toEqual(['/detail/description'])
  })

  test('what is refused says why; what is not there is 404', async () => {
    const id = await sent({ description: 'no title' })
    const { json } = await admin(`/deliveries/${id}/preview`)
    expect(json).toMatchObject({
      refused: 'Title or subject is required',
      preview: null,
      payload: { description: 'no title' },
    })
    expect((await admin('/deliveries/999999/preview')).status).toBe(404)
    const broken = await sent('{"title": ')
    expect((await admin(`/deliveries/${broken}/preview`)).json.payload).toBeNull()
  })

  test('a field map is tried before it is set, on a delivery or on a body of one’s own', async () => {
    await admin('/sources', { id: 'acme', name: 'Acme', auth: 'key' })
    const id = await sent({ issue: { name: 'Lamp', text: 'Dark', level: 'p1' } })
    const map = { title: 'issue.name', description: 'issue.text & "!"', priority: 'issue.level' }
    const tried = await admin('/sources/acme/preview', { field_map: map, delivery_id: id })
    expect(tried.status).toBe(200)
    expect(tried.json.preview.ticket).toMatchObject({ title: 'Lamp', description: 'Dark!' })
    expect(tried.json.origins).toMatchObject({ title: ['/issue/name'], description: ['/issue/text'] })
    const own = await admin('/sources/acme/preview', { field_map: map, body: '{"issue":{"name":"A","text":"B"}}' })
    expect(own.json.preview.ticket.title).toBe('A')
    const wrong = await admin('/sources/acme/preview', { field_map: { title: 'issue.(' }, delivery_id: id })
    expect(wrong.status).toBe(400)
    expect(wrong.json.detail).toContain('title')
    expect((await admin('/sources/none/preview', { field_map: {}, delivery_id: id })).status).toBe(404)
    expect((await admin('/sources/acme/preview', { field_map: {} })).status).toBe(400)
    const large = {
      items: Array.from({ length: 3000 }, (_, n) => ({ n, text: 'x'.repeat(30) })),
      title: 't',
      description: 'd',
    }
    const bounded = await admin('/sources/acme/preview', { field_map: {}, body: JSON.stringify(large) })
    expect(bounded.json.origins).toMatchObject({ title: ['/title'] })
  })

  test('a test in the name of a source makes a ticket as its own would, and shows what is refused', async () => {
    await admin('/sources', { id: 'signing', name: 'Signing', platform: 'zendesk' })
    const made = await admin('/sources/signing/try', { body: '{"title":"Trial","description":"x"}' })
    expect(made.status).toBe(200)
    expect(made.json).toMatchObject({
      outcome: 'created',
      source: 'signing',
      headers: { 'ticketflow-tried-by': 'key:environment' },
    })
    const refused = await admin('/sources/signing/try', { body: '{"description":"x"}' })
    expect(refused.json).toMatchObject({ outcome: 'rejected', status: 400, source: 'signing' })
    expect((await admin('/sources/none/try', { body: '{}' })).status).toBe(404)
    expect((await ask(`${server.url}/api/sources/signing/try`, { method: 'POST', body: { body: '{}' } })).status).toBe(
      401,
    )
  })
})
