import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, describe, expect, test } from 'vitest'

import { type Expected, fixtures, folded, type RecordedRequest, requestsIn } from '../fixtures.ts'
import { deliveriesOf, discard, get, ROOT, startTestServer, type TestServer } from '../server.ts'

const servers: TestServer[] = []
afterAll(() => Promise.all(servers.map(discard)))

/** Tells of the same ticket go to servers of their own: each of them is to be the first that is heard of it. */
const heard: Set<string>[] = []
async function serverFor({ expect: { platform, external_id: id } }: RecordedRequest): Promise<TestServer> {
  const identity = `${platform} ${id}`
  let index = heard.findIndex((identities) => !id || !identities.has(identity))
  if (index < 0) index = heard.push(new Set()) - 1
  heard[index]?.add(identity)
  const server = servers[index] ?? (await startTestServer())
  servers[index] = server
  return server
}

/** Sends the recorded bytes with the recorded headers. */
async function send(server: TestServer, { headers, raw_body: body }: RecordedRequest) {
  const response = await fetch(server.webhook, { method: 'POST', headers, body: Buffer.from(body) })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, json: text === '' ? null : JSON.parse(text) }
}

const EXAMPLES = join(ROOT, '../shared/platforms/examples')
const handedOver = existsSync(EXAMPLES) ? requestsIn(EXAMPLES) : []
const recorded = [
  ...fixtures.map((request) => ({ title: request.name, request })),
  ...handedOver.map((request) => ({ title: `${request.name}, as it was handed over`, request })),
]

const TICKET = new Set(['ticket.created', 'ticket.updated', 'ticket.commented', 'ticket.solved', 'ticket.reopened'])

describe.each(recorded)('$title', ({ request }) => {
  const { expect: expected } = request

  test('comes to what it should, over HTTP', async () => {
    const server = await serverFor(request)
    const answer = await send(server, request)
    expect(answer.status, answer.text).toBe(expected.kind === 'invalid_json' ? 400 : 200)
    const [delivery] = await deliveriesOf(server, answer.headers.get('x-request-id') ?? '')
    expect(delivery).toMatchObject({ platform: expected.platform })
    if (expected.kind === 'invalid_json') {
      expect(delivery).toMatchObject({ outcome: 'rejected' })
      const kept = await get(`${server.url}/api/deliveries/${(delivery as { id: number }).id}`)
      expect(kept.json.body).toBe(request.raw_body)
      return
    }
    if (expected.delivery_id) expect(delivery).toMatchObject({ idempotency_key: expected.delivery_id })
    if (expected.kind === 'ignore') {
      expect(answer.json).toEqual({ status: 'ignored', reason: expected.reason ?? expect.any(String) })
    }
    if (expected.kind === 'handshake' && expected.response) expect(answer.json).toEqual(expected.response)
    if (expected.kind === 'handshake' || expected.kind === 'ignore') {
      expect(delivery).toMatchObject({ outcome: 'ignored', ticket_id: null })
    }
    if (expected.kind === 'batch') await expectEvents(server, answer.json, expected)
    if (TICKET.has(expected.kind)) await expectTicket(server, answer, expected)
  })
})

async function expectTicket(server: TestServer, answer: Awaited<ReturnType<typeof send>>, expected: Expected) {
  // A few senders want another answer than the ticket; where it is, the header says.
  const path = answer.headers.get('content-location') ?? `/api/tickets/${answer.json.id}`
  const { json: ticket } = await get(server.url + path)
  if (answer.json !== null) expect(answer.json).toMatchObject(ticket)
  expect(folded(ticket.title)).toBe(folded(expected.title))
  if (expected.description) expect(folded(ticket.description)).toBe(folded(expected.description))
  if (expected.priority) expect(ticket.priority).toBe(expected.priority)
  if (expected.category) expect(ticket.category).toBe(expected.category.toLowerCase())
  if (expected.user_email !== undefined) expect(ticket.user_email).toBe(expected.user_email)
  if (expected.user_id) expect(ticket.user_id).toBe(expected.user_id)
  if (expected.ticket_status) expect(ticket.status).toBe(expected.ticket_status)
  if (expected.kind === 'ticket.solved') expect(['resolved', 'closed']).toContain(ticket.status)
  expect(ticket.ticket_metadata).toMatchObject({ platform: expected.platform, external_id: expected.external_id })
  for (const key of expected.metadata_has ?? []) expect(ticket.ticket_metadata).toHaveProperty(key)
  if (expected.comment) {
    const { json } = await get(`${server.url}${path}/timeline`)
    expect(json.timeline).toContainEqual(
      expect.objectContaining({ kind: 'commented', comment: expect.objectContaining(expected.comment) }),
    )
  }
}

async function expectEvents(
  server: TestServer,
  answer: { created_tickets: { ticket_id: number }[] },
  expected: Expected,
) {
  expect(answer).toMatchObject({ created_count: expected.events?.length, failed_count: 0 })
  const { json: ticket } = await get(`${server.url}/api/tickets/${answer.created_tickets[0]?.ticket_id}`)
  const [first] = expected.events ?? []
  const last = expected.events?.at(-1)
  expect(ticket.ticket_metadata.external_id).toBe(first?.external_id)
  expect([ticket.title, ticket.description, ticket.priority]).toEqual([
    first?.title,
    first?.description,
    last?.priority,
  ])
}
