import { createHmac, randomUUID } from 'node:crypto'

import type { Priority } from '../core/priority.ts'
import type { State, Told } from './drill-judge.ts'

/** One thing that happens to a ticket at its sender. */
export type Change = {
  what: 'created' | 'priority' | 'status' | 'comment'
  /** Its place in the ticket's life, from 0. */
  version: number
  /** ms since the epoch, in whole seconds: some senders tell no less */
  at: number
  before: State
  state: State
  /** The newest comment by then. */
  comment: string | null
}

/** A request as its sender makes it, and what it says. */
export type Delivery = {
  told: Told
  body: string
  /** Made for each try, as a signature may hold the time. */
  headers: () => Record<string, string>
  /** The same news under another delivery id. */
  renewed: () => Delivery
}

export type Sender = (ticket: number, change: Change) => Delivery

type Words = { priority: Readonly<Record<Priority, string>>; status: Readonly<Record<State['status'], string>> }

type Native = {
  platform: string
  /** What people call the ticket at its sender. */
  externalId: (ticket: number) => string
  body: (ticket: number, change: Change, deliveryId: string) => unknown
  headers: (body: string, deliveryId: string) => Record<string, string>
  told: (change: Change) => { state: State | null; comment: string | null }
}

/** Who sends; each is a source of this name, which verifies it. */
export const PLATFORMS = ['zendesk', 'jira', 'freshdesk', 'servicenow'] as const

/** Zendesk, Jira, Freshdesk and ServiceNow as they really send, with this secret. */
export const createSenders = (secret: string): Sender[] =>
  [zendesk, jira, freshdesk, servicenow].map((make) => senderOf(make(secret)))

function senderOf(native: Native): Sender {
  const deliver = (ticket: number, change: Change, deliveryId: string): Delivery => {
    const body = JSON.stringify(native.body(ticket, change, deliveryId))
    const identity = { platform: native.platform, externalId: native.externalId(ticket) }
    return {
      told: { ...identity, at: change.at, ...native.told(change) },
      body,
      headers: () => ({ 'content-type': 'application/json', ...native.headers(body, deliveryId) }),
      renewed: () => deliver(ticket, change, randomUUID()),
    }
  }
  return (ticket, change) => deliver(ticket, change, randomUUID())
}

const titleOf = (ticket: number) => `Drill: export number ${ticket} hangs`
const DESCRIPTION =
  'Since this morning the export button spins forever.\n\nThe list has 12,000 rows; last week it worked.'

/** `2026-11-20T09:14:58Z`, and with a blank instead of the T as ServiceNow writes it. */
const iso = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`
const plainTime = (ms: number) => iso(ms).slice(0, 19).replace('T', ' ')

/** A comment's news, and nothing else's, holds the comment. */
const ownComment = ({ what, comment }: Change) => (what === 'comment' ? comment : null)

const ZENDESK: Words = {
  priority: { low: 'LOW', medium: 'NORMAL', high: 'HIGH', urgent: 'URGENT' },
  status: { new: 'NEW', open: 'OPEN', pending: 'PENDING', resolved: 'SOLVED', closed: 'CLOSED' },
}
const ZENDESK_EVENTS = {
  created: 'created',
  priority: 'priority_changed',
  status: 'status_changed',
  comment: 'comment_added',
} as const satisfies Record<Change['what'], string>

const zendesk = (secret: string): Native => ({
  platform: 'zendesk',
  externalId: String,
  told: (change) => ({ state: change.state, comment: ownComment(change) }),
  body: (ticket, change, deliveryId) => ({
    type: `zen:event-type:ticket.${ZENDESK_EVENTS[change.what]}`,
    account_id: 771_204,
    id: deliveryId,
    time: iso(change.at),
    zendesk_event_version: '2022-11-06',
    subject: `zen:ticket:${ticket}`,
    detail: {
      created_at: iso(change.at),
      description: DESCRIPTION,
      id: String(ticket),
      is_public: true,
      priority: ZENDESK.priority[change.state.priority],
      requester_id: '905100010001',
      status: ZENDESK.status[change.state.status],
      subject: titleOf(ticket),
      tags: ['export', 'web'],
      type: 'INCIDENT',
      updated_at: iso(change.at),
      via: { channel: 'email' },
    },
    event: zendeskEvent(ticket, change),
  }),
  headers: (body, deliveryId) => {
    const sentAt = iso(Date.now())
    return {
      'user-agent': 'Zendesk Webhook',
      'x-zendesk-account-id': '771204',
      'x-zendesk-webhook-id': '01JDRILL000000000000000001',
      'x-zendesk-webhook-invocation-id': deliveryId,
      'x-zendesk-webhook-signature-timestamp': sentAt,
      'x-zendesk-webhook-signature': createHmac('sha256', secret)
        .update(sentAt + body)
        .digest('base64'),
    }
  },
})

function zendeskEvent(ticket: number, { what, version, before, state, comment }: Change): object {
  if (what === 'created') return {}
  if (what === 'priority' || what === 'status') {
    const words: Readonly<Record<string, string>> = ZENDESK[what]
    return { current: words[state[what]], previous: words[before[what]] }
  }
  const author = { id: '905100010009', is_staff: true, name: 'Mara Vogt' }
  return { comment: { id: `${ticket}${version}`, body: comment, is_public: true, author } }
}

const JIRA: Words = {
  priority: { low: 'Low', medium: 'Medium', high: 'High', urgent: 'Highest' },
  status: { new: 'To Do', open: 'In Progress', pending: 'Waiting for customer', resolved: 'Done', closed: 'Closed' },
}
const JIRA_PRIORITY_IDS = { urgent: '1', high: '2', medium: '3', low: '4' } as const satisfies Record<Priority, string>
const JIRA_SITE = 'https://drill.atlassian.net'
const JIRA_EVENTS = {
  created: 'jira:issue_created',
  priority: 'jira:issue_updated',
  status: 'jira:issue_updated',
  comment: 'comment_created',
} as const satisfies Record<Change['what'], string>

const jira = (secret: string): Native => ({
  platform: 'jira',
  externalId: (ticket) => `DRILL-${ticket}`,
  // Its comments come with a thin issue that tells no time, and so win over no change.
  told: (change) => ({ state: change.what === 'comment' ? null : change.state, comment: ownComment(change) }),
  body: (ticket, change) => ({
    timestamp: change.at,
    webhookEvent: JIRA_EVENTS[change.what],
    issue: {
      id: String(ticket),
      self: `${JIRA_SITE}/rest/api/2/issue/${ticket}`,
      key: `DRILL-${ticket}`,
      fields: jiraFields(ticket, change),
    },
    ...jiraNews(ticket, change),
  }),
  headers: (body, deliveryId) => ({
    'user-agent': 'Atlassian Webhook HTTP Client',
    'x-atlassian-webhook-identifier': deliveryId,
    'x-atlassian-webhook-flow': 'Primary',
    'x-hub-signature': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
  }),
})

function jiraFields(ticket: number, { what, at, state }: Change): object {
  const category = state.status === 'new' ? 'new' : state.status === 'resolved' ? 'done' : 'indeterminate'
  const thin = {
    summary: titleOf(ticket),
    issuetype: { id: '10004', name: 'Bug', subtask: false },
    project: { id: '10001', key: 'DRILL', name: 'Drill' },
    priority: { name: JIRA.priority[state.priority], id: JIRA_PRIORITY_IDS[state.priority] },
    status: { name: JIRA.status[state.status], statusCategory: { key: category } },
  }
  if (what === 'comment') return thin
  return { ...thin, description: DESCRIPTION, reporter: JIRA_REPORTER, labels: ['web'], updated: iso(at) }
}

const JIRA_REPORTER = { accountId: '712020:0b0f6a0e', displayName: 'Sofia Lindqvist', accountType: 'atlassian' }

function jiraNews(ticket: number, { what, version, at, before, state, comment }: Change): object {
  if (what === 'created') return { issue_event_type_name: 'issue_created' }
  if (what === 'comment') {
    const id = `${ticket}${version}`
    const self = `${JIRA_SITE}/rest/api/2/issue/${ticket}/comment/${id}`
    const author = { accountId: '712020:0b0f6a0f', displayName: 'Ken Abe', accountType: 'atlassian' }
    return { comment: { self, id, author, body: comment, created: iso(at), updated: iso(at), jsdPublic: true } }
  }
  const words: Readonly<Record<string, string>> = JIRA[what]
  const item = { field: what, fieldtype: 'jira', fromString: words[before[what]], toString: words[state[what]] }
  return { issue_event_type_name: 'issue_generic', changelog: { id: `${ticket}${version}`, items: [item] } }
}

const FRESHDESK: Words = {
  priority: { low: 'Low', medium: 'Medium', high: 'High', urgent: 'Urgent' },
  // A new ticket is open there at once.
  status: { new: 'Open', open: 'Open', pending: 'Pending', resolved: 'Resolved', closed: 'Closed' },
}

const freshdesk = (secret: string): Native => ({
  platform: 'freshdesk',
  externalId: String,
  told: ({ what, state, comment }) => ({
    // "Open" is what a ticket that was just made says; said later, it is meant.
    state: state.status === 'new' && what !== 'created' ? { ...state, status: 'open' } : state,
    // A rule's body repeats the latest comment with each later change.
    comment,
  }),
  body: (ticket, change) => ({
    freshdesk_webhook: {
      triggered_event: triggeredEvent(change),
      ticket_id: ticket,
      ticket_url: `http://drill.freshdesk.com/helpdesk/tickets/${ticket}`,
      ticket_type: 'Question',
      ticket_subject: titleOf(ticket),
      ticket_description: `<div>${DESCRIPTION}</div>`,
      ticket_status: FRESHDESK.status[change.state.status],
      ticket_priority: FRESHDESK.priority[change.state.priority],
      ticket_requester_name: 'Rae Quist',
      ticket_requester_email: 'requester@example.com',
      ticket_agent_name: 'Mara Vogt',
      ticket_latest_public_comment: change.comment === null ? '' : `Mara Vogt : <div>${change.comment}</div>`,
      ticket_updated_at: iso(change.at),
    },
  }),
  headers: () => ({
    'user-agent': 'Freshdesk',
    authorization: `Basic ${Buffer.from(`ticketflow:${secret}`).toString('base64')}`,
  }),
})

const FRESHDESK_STATUS_IDS = { new: 2, open: 2, pending: 3, resolved: 4, closed: 5 } as const satisfies Record<
  State['status'],
  number
>
const FRESHDESK_PRIORITY_IDS = { low: 1, medium: 2, high: 3, urgent: 4 } as const satisfies Record<Priority, number>

/** It looks like JSON, but nothing in it is quoted, and it has numbers where the ticket has words. */
function triggeredEvent({ what, before, state }: Change): string {
  if (what === 'created') return '{ticket_action:created}'
  if (what === 'comment') return '{reply_sent:sent}'
  const [from, to] = [before, state].map(({ priority, status }) =>
    what === 'priority' ? FRESHDESK_PRIORITY_IDS[priority] : FRESHDESK_STATUS_IDS[status],
  )
  return `{${what}:{from:${from},to:${to}}}`
}

const SERVICENOW: Words = {
  priority: { urgent: '1', high: '2', medium: '3', low: '4' },
  status: { new: '1', open: '2', pending: '3', resolved: '6', closed: '7' },
}

const servicenow = (secret: string): Native => ({
  platform: 'servicenow',
  externalId: (ticket) => `INC${ticket}`,
  told: (change) => ({ state: change.state, comment: ownComment(change) }),
  body: (ticket, change) => ({
    number: `INC${ticket}`,
    sys_id: ticket.toString(16).padStart(32, '0'),
    sys_class_name: 'incident',
    sys_mod_count: String(change.version),
    sys_updated_on: plainTime(change.at),
    sys_updated_by: 'beth.anglin',
    priority: SERVICENOW.priority[change.state.priority],
    state: SERVICENOW.status[change.state.status],
    category: 'software',
    short_description: titleOf(ticket),
    description: DESCRIPTION,
    caller_id: '62826bf03710200044e0bfc8bcbe5df1',
    caller_email: 'abel.tuter@example.com',
    ...(change.what === 'comment' && {
      comments: `${plainTime(change.at)} - Beth Anglin (Additional comments)\n${change.comment}\n\n`,
    }),
  }),
  headers: () => ({ 'user-agent': 'ServiceNow/1.0', 'x-api-key': secret }),
})
