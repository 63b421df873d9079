import { isDeepStrictEqual } from 'node:util'

import { isObject } from '../core/json.ts'
import type { Answer, Call } from './check-call.ts'

export const WEBHOOK = '/api/integrations/webhook'
const BATCH = `${WEBHOOK}/batch`

/** One thing that a TicketFlow server owes its senders. */
export type Case = {
  name: string
  expected: string
  /** Says in a few words what came. Throws Mismatch when it is not what was expected. `run` is new in each run. */
  run: (call: Call, run: string) => Promise<string>
}

/** The server answered, and not as it should. */
export class Mismatch extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'Mismatch'
  }
}

// What the server is held to is written out here and not taken from its code, which would always agree with itself.
const HEALTH = {
  status: 'healthy',
  endpoint: 'webhook',
  supported_platforms: ['zendesk', 'freshdesk', 'jira', 'servicenow', 'custom'],
  features: ['flexible_field_mapping', 'automatic_validation', 'batch_processing', 'metadata_preservation'],
}

const TICKET_FIELDS =
  'id title description category priority status user_id user_email ticket_metadata created_at updated_at resolved_at'.split(
    ' ',
  )

type Fields = Record<string, unknown>
type Format = { name: string; sent: Fields; metadata?: Fields; made: Fields }

/** What each platform sends, and the fields that its ticket then has. */
const FORMATS: Format[] = [
  {
    name: 'Zendesk format',
    sent: {
      subject: 'Cannot sign in since the update',
      description: 'The form comes back empty.',
      priority: 'high',
      customer_email: 'ana@example.com',
      platform: 'zendesk',
    },
    made: {
      title: 'Cannot sign in since the update',
      priority: 'high',
      category: 'general',
      user_email: 'ana@example.com',
    },
  },
  {
    name: 'Freshdesk format',
    sent: {
      title: 'Export stops at row 1000',
      body: 'Every export ends there.',
      category: 'technical',
      priority: 'urgent',
      user_email: 'ben@example.com',
      platform: 'freshdesk',
    },
    made: { description: 'Every export ends there.', category: 'technical', priority: 'urgent' },
  },
  {
    name: 'Jira format',
    sent: {
      title: 'Show times in my own zone',
      description: 'They are all in UTC.',
      category: 'feature_request',
      priority: 'medium',
      user_id: 'jira-7',
      platform: 'jira',
    },
    made: { category: 'feature_request', priority: 'medium', user_id: 'jira-7', user_email: null },
  },
  {
    name: 'ServiceNow format',
    sent: {
      title: 'Printer on floor 3 is offline',
      description: 'It shows error 49.',
      priority: 'low',
      user_email: 'cleo@example.com',
      platform: 'servicenow',
    },
    made: { title: 'Printer on floor 3 is offline', priority: 'low', user_email: 'cleo@example.com' },
  },
  {
    name: 'custom format with metadata',
    sent: {
      title: 'Invoice shows the wrong address',
      description: 'We have moved.',
      category: 'billing',
      customer_email: 'dan@example.com',
      platform: 'shop',
      metadata: { department: 'finance', attempt: 2 },
    },
    metadata: { department: 'finance', attempt: 2 },
    made: { category: 'billing', priority: 'medium', user_email: 'dan@example.com' },
  },
]

const formats: Case[] = FORMATS.map(({ name, sent, made, metadata }) => ({
  name,
  expected: '200 and the ticket',
  run: async (call, run) => {
    const id = `check-${run}-${String(sent['platform'])}`
    const ticket = ticketOf(await call('POST', WEBHOOK, { body: { ...sent, id } }))
    has(ticket, { ...made, status: 'new' })
    has(ticket['ticket_metadata'], { ...metadata, platform: sent['platform'], external_id: id }, 'ticket_metadata.')
    return `200, ticket ${String(ticket['id'])}`
  },
}))

/** What has to be refused, and how. */
const refusals: Case[] = [
  refusal('a ticket without title', { body: { description: 'no title' } }, 400, 'Title or subject is required'),
  refusal('a ticket without description', { body: { title: 'no text' } }, 400, 'Description or body is required'),
  refusal('a malformed e-mail address', { body: { title: 'a', description: 'b', customer_email: 'nobody@' } }, 400),
  refusal('a body that is broken JSON', { body: '{"title": "half' }, 400),
  refusal('a body that is XML', { body: '<ticket/>', headers: { 'content-type': 'application/xml' } }, 415),
  refusal('a batch that is no array', { path: BATCH, body: { title: 'a', description: 'b' } }, 400),
]

export const CASES: Case[] = [
  {
    name: 'health check',
    expected: "200, the specification's body",
    run: async (call) => {
      const answer = await call('GET', `${WEBHOOK}/health`)
      hasStatus(answer, 200)
      if (!isDeepStrictEqual(answer.json, HEALTH)) mismatch(`expected ${JSON.stringify(HEALTH)}`, answer)
      return '200, the same'
    },
  },
  ...formats,
  {
    name: 'title and text alone',
    expected: '200, defaults filled in',
    run: async (call, run) => {
      const body = { subject: `Nothing but this (${run})`, body: 'And this.' }
      const ticket = ticketOf(await call('POST', WEBHOOK, { body }))
      has(ticket, { title: body.subject, description: 'And this.', category: 'general', priority: 'medium' })
      has(ticket, { user_id: null, user_email: null, resolved_at: null })
      return `200, ticket ${String(ticket['id'])}`
    },
  },
  {
    name: 'reading a ticket back',
    expected: '200, the same ticket',
    run: async (call, run) => {
      const body = { title: 'Read me back', description: 'Grüße, 你好 👋', id: `check-${run}-back`, platform: 'shop' }
      const made = ticketOf(await call('POST', WEBHOOK, { body }))
      const read = ticketOf(await call('GET', `/api/tickets/${String(made['id'])}`))
      has(read, made)
      has(read, { title: body.title, description: body.description })
      return `200, ticket ${String(read['id'])}`
    },
  },
  {
    name: 'a batch of two',
    expected: '200, 2 created, 0 failed',
    run: (call, run) => batch(call, [item(run, 1), item(run, 2)], [0, 1]),
  },
  {
    name: 'a batch with a bad item',
    expected: '200, 2 created, 1 failed',
    run: (call, run) => batch(call, [item(run, 3), { description: 'no title' }, item(run, 4)], [0, 2]),
  },
  ...refusals,
  {
    name: 'a ticket and a comment as Zendesk sends them',
    expected: '200 twice, one ticket',
    run: async (call, run) => {
      const detail = { id: run, subject: `Check ${run}`, description: 'From Zendesk.', priority: 'URGENT' }
      const event = (type: string, told: Fields) =>
        call('POST', WEBHOOK, {
          body: { type: `zen:event-type:ticket.${type}`, id: `${run}-${type}`, detail, event: told },
        })
      const ticket = ticketOf(await event('created', {}))
      has(ticket, { title: detail.subject, priority: 'urgent', category: 'general' })
      has(ticket['ticket_metadata'], { platform: 'zendesk', external_id: run }, 'ticket_metadata.')
      has(ticketOf(await event('comment_added', { comment: { id: '1', body: 'Seen.' } })), { id: ticket['id'] })
      return `200 twice, ticket ${String(ticket['id'])}`
    },
  },
  {
    name: 'a ping from GitHub',
    expected: '200, no ticket',
    run: async (call) => {
      const request = { body: { zen: 'Keep it logically awesome.', hook_id: 1 }, headers: { 'x-github-event': 'ping' } }
      const answer = await call('POST', WEBHOOK, request)
      hasStatus(answer, 200)
      if (isObject(answer.json) && 'id' in answer.json) mismatch('expected no ticket', answer)
      return '200, no ticket'
    },
  },
  {
    name: 'an Idempotency-Key sent twice',
    expected: '200, the same bytes, marked',
    run: async (call, run) => {
      const request = { body: item(run, 5), headers: { 'idempotency-key': `check-${run}-twice` } }
      const first = await call('POST', WEBHOOK, request)
      const ticket = ticketOf(first)
      const second = await call('POST', WEBHOOK, request)
      hasStatus(second, 200)
      if (second.text !== first.text) mismatch(`expected the same bytes again: ${brief(first)}`, second)
      if (second.headers.get('idempotency-replayed') !== 'true')
        mismatch('expected the header `Idempotency-Replayed: true`; it is missing', second)
      return `200, ticket ${String(ticket['id'])} twice`
    },
  },
  {
    name: 'an Idempotency-Key with another body',
    expected: '422 and a reason',
    run: async (call, run) => {
      const headers = { 'idempotency-key': `check-${run}-other` }
      ticketOf(await call('POST', WEBHOOK, { body: item(run, 6), headers }))
      return refused(await call('POST', WEBHOOK, { body: item(run, 7), headers }), 422)
    },
  },
]

const item = (run: string, number: number) => ({
  title: `Check ${run}, item ${number}`,
  description: 'Made by `ticketflow check`.',
})

function refusal(
  name: string,
  { path = WEBHOOK, ...request }: { path?: string; body: unknown; headers?: Record<string, string> },
  status: number,
  detail?: string,
): Case {
  const expected = detail === undefined ? `${status} and a reason` : `${status} ${detail}`
  return { name, expected, run: async (call) => refused(await call('POST', path, request), status, detail) }
}

function refused(answer: Answer, status: number, detail?: string): string {
  hasStatus(answer, status)
  const given = isObject(answer.json) ? answer.json['detail'] : undefined
  if (typeof given !== 'string') return mismatch('expected JSON with a sentence in `detail`', answer)
  if (detail !== undefined && !isDeepStrictEqual(answer.json, { detail }))
    mismatch(`expected exactly ${JSON.stringify({ detail })}`, answer)
  return `${status} ${given}`
}

const indexes = (list: unknown) => (Array.isArray(list) ? list.map((entry) => isObject(entry) && entry['index']) : list)

async function batch(call: Call, items: Fields[], good: number[]): Promise<string> {
  const answer = await call('POST', BATCH, { body: items })
  hasStatus(answer, 200)
  const bad = items.map((_, index) => index).filter((index) => !good.includes(index))
  if (!isObject(answer.json)) return mismatch('expected a JSON object', answer)
  has(answer.json, { created_count: good.length, failed_count: bad.length })
  if (!isDeepStrictEqual(indexes(answer.json['created_tickets']), good))
    mismatch(`expected items ${good.join(', ')} in created_tickets`, answer)
  if (!isDeepStrictEqual(indexes(answer.json['failed_tickets']), bad))
    mismatch(`expected ${bad.length === 0 ? 'nothing' : `items ${bad.join(', ')}`} in failed_tickets`, answer)
  return `200, ${good.length} created, ${bad.length} failed`
}

function ticketOf(answer: Answer): Fields {
  hasStatus(answer, 200)
  if (!isObject(answer.json)) return mismatch('expected the ticket as a JSON object', answer)
  const ticket = answer.json
  const missing = TICKET_FIELDS.filter((name) => !Object.hasOwn(ticket, name))
  if (missing.length > 0) mismatch(`expected a ticket; it has no ${missing.join(', ')}`, answer)
  if (!Number.isInteger(ticket['id'])) mismatch('expected a whole number as `id`', answer)
  return ticket
}

function hasStatus(answer: Answer, status: number): void {
  if (answer.status !== status) mismatch(`expected status ${status}`, answer)
}

function has(value: unknown, wanted: Fields, prefix = ''): void {
  const fields = isObject(value) ? value : {}
  for (const [name, expected] of Object.entries(wanted)) {
    if (isDeepStrictEqual(fields[name], expected)) continue
    throw new Mismatch(`expected ${prefix}${name} ${JSON.stringify(expected)}; came ${JSON.stringify(fields[name])}`)
  }
}

function mismatch(expected: string, answer: Answer): never {
  throw new Mismatch(`${expected}; came ${brief(answer)}`)
}

/** An answer in a line. */
export function brief({ status, headers, text }: Answer): string {
  const body = text.replaceAll(/\s+/g, ' ').trim()
  const type = headers.get('content-type') ?? 'no content type'
  return `${status} (${type}): ${body === '' ? 'empty' : body.length > 300 ? `${body.slice(0, 300)}…` : body}`
}
