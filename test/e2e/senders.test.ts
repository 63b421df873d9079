import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { lowerCased, recorded } from '../fixtures.ts'
import { deliveriesOf, discard, get, post, startTestServer, type TestServer } from '../server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => discard(server))

const api = (path: string) => get(`${server.url}/api${path}`)
const count = async () => (await api('/tickets?limit=1')).json.tickets[0]?.id ?? 0

/** A Zendesk event about one ticket; the ticket's number keeps tests apart. */
let events = 0
const zendesk = (id: string, type: string, detail: Record<string, unknown> = {}, event: unknown = {}) => ({
  type: `zen:event-type:${type}`,
  account_id: 771204,
  id: `event-${(events += 1)}`,
  time: '2026-11-20T09:14:58Z',
  subject: `zen:ticket:${id}`,
  detail: { id, subject: 'Export hangs', description: 'It spins.', status: 'OPEN', priority: 'NORMAL', ...detail },
  event,
})
const at = (minute: number) => ({ updated_at: `2026-11-20T10:${String(minute).padStart(2, '0')}:00Z` })
const send = (body: unknown, headers: Record<string, string> = {}) => post(server.webhook, body, headers)

describe('the life of a ticket at its sender', () => {
  test('is one ticket here, with each step on its timeline', async () => {
    const steps = [
      zendesk('1', 'ticket.created', { ...at(1), status: 'NEW' }),
      zendesk(
        '1',
        'ticket.priority_changed',
        { ...at(2), priority: 'URGENT' },
        { current: 'URGENT', previous: 'NORMAL' },
      ),
      zendesk(
        '1',
        'ticket.comment_added',
        { ...at(3), priority: 'URGENT' },
        { comment: { id: '9', body: 'A note', is_public: false } },
      ),
      zendesk(
        '1',
        'ticket.status_changed',
        { ...at(4), priority: 'URGENT', status: 'SOLVED' },
        { current: 'SOLVED', previous: 'OPEN' },
      ),
      zendesk('1', 'ticket.status_changed', { ...at(5), priority: 'URGENT' }, { current: 'OPEN', previous: 'SOLVED' }),
      zendesk('1', 'ticket.soft_deleted', { ...at(6), priority: 'URGENT', status: 'DELETED' }),
    ]
    const answers = []
    for (const step of steps) answers.push(await send(step))
    const [first] = answers
    expect(answers.map(({ status, json }) => [status, json.id])).toEqual(answers.map(() => [200, first?.json.id]))
    expect(answers.map(({ json }) => [json.status, json.priority])).toEqual([
      ['new', 'medium'],
      ['open', 'urgent'],
      ['open', 'urgent'],
      ['resolved', 'urgent'],
      ['open', 'urgent'],
      ['closed', 'urgent'],
    ])
    const { timeline } = (await api(`/tickets/${first?.json.id}/timeline`)).json
    expect(timeline.map(({ kind }: { kind: string }) => kind)).toEqual([
      'created',
      'updated',
      'commented',
      'solved',
      'reopened',
      'deleted',
    ])
    expect(timeline[2].comment).toMatchObject({ id: '9', body: 'A note', public: false })
  })

  test('told in any order comes to the same ticket', async () => {
    const created = zendesk('2', 'ticket.created', { ...at(1), status: 'NEW' })
    const changed = zendesk('2', 'ticket.priority_changed', { ...at(2), priority: 'HIGH' })
    const solved = zendesk('2', 'ticket.status_changed', { ...at(3), priority: 'HIGH', status: 'SOLVED' })
    const before = await count()
    for (const step of [solved, created, changed]) expect((await send(step)).status).toBe(200)
    const { json } = await api(`/tickets/${before + 1}`)
    expect([json.status, json.priority]).toEqual(['resolved', 'high'])
    expect(await count()).toBe(before + 1)
  })

  test('is another ticket in another account of the same platform', async () => {
    const before = await count()
    await send(zendesk('3', 'ticket.created'))
    await send({ ...zendesk('3', 'ticket.created'), account_id: 99 })
    expect(await count()).toBe(before + 2)
  })
})

describe('a delivery that comes again', () => {
  test('under the platform’s own id gets the first answer, to the byte', async () => {
    const event = zendesk('10', 'ticket.created')
    const first = await send(event)
    const again = await send(event, { 'x-zendesk-webhook-signature-timestamp': '2026-11-20T10:00:00Z' })
    expect([again.status, again.text]).toEqual([200, first.text])
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    const [delivery] = await deliveriesOf(server, first.headers.get('x-request-id') ?? '')
    expect(delivery).toMatchObject({ platform: 'zendesk', idempotency_key: event.id })
  })

  test('under another id makes no second ticket', async () => {
    const body = { ticket: { id: '11', title: 'a', description: 'b' } }
    const before = await count()
    for (const id of ['inv-1', 'inv-2']) {
      expect((await send(body, { 'x-zendesk-webhook-invocation-id': id })).status).toBe(200)
    }
    expect(await count()).toBe(before + 1)
  })

  test('64 at once are one ticket', async () => {
    const before = await count()
    const event = zendesk('12', 'ticket.created')
    const answers = await Promise.all(Array.from({ length: 64 }, () => send(event)))
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect(await count()).toBe(before + 1)
  })
})

describe('what makes no ticket', () => {
  test.each([
    ['an event about a user', zendesk('1', 'user.active_changed'), 'not_a_ticket'],
    [
      'a test whose template was not filled in',
      { ticket: { id: '{{ticket.id}}', title: '{{ticket.title}}' } },
      'unrendered_template',
    ],
  ])('%s is 200, says so, and is on record', async (_name, body, reason) => {
    const before = await count()
    const answer = await send(body, { 'x-zendesk-webhook-id': 'w' })
    expect([answer.status, answer.json]).toEqual([200, { status: 'ignored', reason }])
    const [delivery] = await deliveriesOf(server, answer.headers.get('x-request-id') ?? '')
    expect(delivery).toMatchObject({ outcome: 'ignored', status: 200, reason, ticket_id: null, platform: 'zendesk' })
    expect(await count()).toBe(before)
  })

  test('a flat ticket whose template was not filled in', async () => {
    const answer = await send({ title: '{{ticket.title}}', description: '{{ticket.description}}' })
    expect(answer.json).toEqual({ status: 'ignored', reason: 'unrendered_template' })
    expect((await send({ title: 'Mail shows {{ticket.title}} as it is', description: 'd' })).json.status).toBe('new')
  })

  test('a body of a known sender that holds no ticket is 400 and says what is missing', async () => {
    const answer = await send({ hello: 'world' }, { 'x-zendesk-webhook-id': 'w' })
    expect(answer.status).toBe(400)
    expect(answer.json.detail).toMatch(/Zendesk.*id.*title/)
  })
})

describe('whose a body is', () => {
  const trigger = { ticket: { id: '20', title: 'a', description: 'b', priority: 'Urgent' } }

  test('is said by a header before it is said by its shape', async () => {
    const { json } = await send({ title: 'flat', description: 'b', id: '21' }, { 'x-zendesk-webhook-id': 'w' })
    expect(json.ticket_metadata).toMatchObject({ platform: 'zendesk', external_id: '21' })
  })

  test('can be forced in the URL, and an unknown name is refused', async () => {
    expect((await send(trigger)).status).toBe(400)
    const forced = await post(`${server.webhook}?platform=zendesk`, trigger)
    expect([forced.status, forced.json.priority]).toEqual([200, 'urgent'])
    const unknown = await post(`${server.webhook}?platform=zendesc`, trigger)
    expect(unknown.json.detail).toBe('There is no platform zendesc; GET /api/platforms lists them')
    expect(unknown.status).toBe(400)
  })

  test('in a flat payload that names it gives its digits a meaning, and leaves it flat', async () => {
    const flat = { title: 'a', description: 'b', priority: '1' }
    const of = async (platform: string) => (await send({ ...flat, platform })).json.priority
    expect(await of('servicenow')).toBe('urgent')
    expect(await of('freshdesk')).toBe('low')
    expect(await of('linear')).toBe('urgent')
    expect(await of('nobody')).toBe('medium')
    expect((await send({ ...flat, platform: 'freshdesk', priority: 4 })).json.priority).toBe('urgent')
  })

  test('is found for each item of a batch', async () => {
    const { json } = await post(`${server.webhook}/batch`, [
      zendesk('30', 'ticket.created'),
      { title: 'flat', description: 'b' },
      zendesk('30', 'user.created'),
    ])
    expect(json).toMatchObject({ created_count: 2, failed_count: 0, ignored: [{ index: 2, reason: 'not_a_ticket' }] })
  })
})

test('ids that a double cannot hold keep every digit', async () => {
  const id = '90071992547409931234'
  const body = `{"type":"zen:event-type:ticket.created","account_id":1,"detail":{"id":${id},"subject":"a","requester_id":${id}}}`
  const { json } = await send(body)
  expect([json.ticket_metadata.external_id, json.user_id]).toEqual([id, id])
})

test.each(['PUT', 'PATCH'])(
  '%s is taken as POST is, because some senders let their administrators choose',
  async (method) => {
    const body = JSON.stringify({ title: method, description: 'd' })
    const request = { method, body }
    const response = await fetch(server.webhook, request)
    expect([response.status, JSON.parse(await response.text()).title]).toEqual([200, method])
  },
)

describe('GET /api/platforms', () => {
  test('lists each with what it supports', async () => {
    const { json } = await api('/platforms')
    const ids = json.platforms.map(({ id }: { id: string }) => id)
    expect(ids.at(-1)).toBe('flat')
    expect(ids).toEqual(expect.arrayContaining(['zendesk', 'freshdesk', 'jira', 'servicenow', 'github', 'postmark']))
    expect(json.platforms.find(({ id }: { id: string }) => id === 'zendesk')).toMatchObject({
      name: 'zendesk',
      label: 'Zendesk',
      events: expect.arrayContaining(['created', 'commented']),
      verification: ['signature', 'token'],
      recognised_by_headers: expect.arrayContaining(['x-zendesk-webhook-id']),
    })
  })
})

describe('POST /api/preview', () => {
  const preview = (body: unknown, headers: Record<string, string> = {}, query = '') =>
    post(`${server.url}/api/preview${query}`, body, lowerCased(headers))

  test('shows what would become of a body, and stores nothing', async () => {
    const { headers, raw_body: body } = recorded('zendesk-comment-added-event')
    const [before, deliveries] = [await count(), (await api('/deliveries?limit=1')).json.deliveries[0].id]
    const answer = await preview(body, headers)
    expect(answer.status).toBe(200)
    expect(answer.json).toMatchObject({
      platform: 'zendesk',
      label: 'Zendesk',
      kind: 'commented',
      delivery_id: '6f1c0e52-2f0d-4c36-9d2b-8a4f5c1e0003',
      ticket: { title: 'CSV export hangs for large order lists', priority: 'high', user_email: null },
      comment: { body: 'We can reproduce it and are on it.' },
      unmapped: expect.arrayContaining(['detail.assignee_id']),
      warnings: [expect.stringContaining('e-mail')],
    })
    expect(await count()).toBe(before)
    expect((await api('/deliveries?limit=1')).json.deliveries[0].id).toBe(deliveries)
  })

  test('shows each event of a body that holds several', async () => {
    const { headers, raw_body: body } = recorded('hubspot-ticket-creation-batch')
    expect((await preview(body, headers)).json).toMatchObject({
      platform: 'hubspot',
      kind: 'batch',
      events: [{ kind: 'created' }, { kind: 'updated', ticket: { priority: 'high' } }],
    })
  })

  test('shows why a body makes no ticket, and what a handshake is answered with', async () => {
    const user = recorded('zendesk-user-event-ignored')
    expect((await preview(user.raw_body, user.headers)).json).toMatchObject({
      kind: 'ignored',
      reason: 'not_a_ticket',
      ticket: null,
    })
    const slack = recorded('slack-url-verification')
    expect((await preview(slack.raw_body, slack.headers)).json).toMatchObject({
      kind: 'handshake',
      answer: slack.expect.response,
    })
  })

  test('takes a flat ticket, a form, and a platform by name', async () => {
    expect((await preview({ title: 'a', description: 'b', colour: 'red' })).json).toMatchObject({
      platform: 'flat',
      ticket: { title: 'a', category: 'general', priority: 'medium', status: 'new' },
      unmapped: ['colour'],
      warnings: expect.arrayContaining([expect.stringContaining('No id')]),
    })
    const form = recorded('zendesk-trigger-form')
    expect((await preview(form.raw_body, form.headers)).json.ticket.user_email).toBe('kai+shop@example.de')
    expect((await preview({ ticket: { id: 1, title: 'a' } }, {}, '?platform=zendesk')).json.platform).toBe('zendesk')
  })

  test('refuses as the webhook would, and says the same', async () => {
    for (const body of ['{"a":', '[]', '{"title":"a"}', { title: 'a', description: 'b', user_email: 'x' }]) {
      const [shown, sent] = [await preview(body), await send(body)]
      expect([shown.status, shown.json]).toEqual([sent.status, sent.json])
    }
  })

  test('is closed to pages of another origin, as all is', async () => {
    expect((await preview({}, { origin: 'https://evil.example' })).status).toBe(403)
  })
})
