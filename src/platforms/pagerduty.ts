import { at, type Fields, has, list, meaning, skip, text, time } from '../core/fields.ts'
import { isObject } from '../core/json.ts'
import { definePlatform, ignored, type NativeComment, type NativeEvent } from '../core/native.ts'
import { priorityFrom, priorityFromLabels } from '../core/priority.ts'
import { headerText, hmac, sharedToken } from '../core/signature.ts'
import type { EventKind, Status } from '../core/ticket.ts'

const KINDS: Readonly<Record<string, EventKind>> = {
  triggered: 'created',
  resolved: 'solved',
  reopened: 'reopened',
}

const STATUSES: Readonly<Record<string, Status>> = { triggered: 'open', acknowledged: 'open', resolved: 'resolved' }

/** V3 webhooks: incidents, and what is said about them. */
export default definePlatform({
  id: 'pagerduty',
  label: 'PagerDuty',
  kinds: ['created', 'updated', 'commented', 'solved', 'reopened', 'handshake', 'ignored'],
  headers: ['x-pagerduty-signature'],
  userAgent: 'PagerDuty-Webhook/',
  recognises: ({ event }) => isObject(event) && 'event_type' in event && 'data' in event,

  schemes: {
    signature: hmac({
      algorithm: 'sha256',
      encoding: 'hex',
      header: 'x-pagerduty-signature',
      prefix: 'v1=',
      separator: ',',
    }),
    token: sharedToken(),
  },

  deliveryId: ({ headers, payload: { event } }) => {
    const id = isObject(event) ? event['id'] : null
    return headerText(headers, 'x-webhook-id') ?? (typeof id === 'string' ? id : null)
  },
  noise: /^(?:self|html_url|type)$/,

  read: (body) => {
    const event = at(body, 'event')
    const type = text(event, 'event_type') ?? ''
    const data = at(event, 'data')
    // Sent by "Send test event"; what it is called is known from hearsay.
    if (type.startsWith('pagey.') || text(data, 'type') === 'ping') {
      return { kind: 'handshake', answer: { status: 'ignored', reason: 'ping' } }
    }
    if (!type.startsWith('incident.')) return ignored('not_a_ticket')
    skip(event, 'id', 'resource_type', 'agent', 'client')
    const isAbout = has(data, 'incident') && text(data, 'type') !== 'incident'
    return isAbout ? readAbout(event, data) : readIncident(event, data, type.slice('incident.'.length))
  },
})

function readIncident(event: Fields, incident: Fields, action: string): NativeEvent {
  const agent = at(event, 'agent')
  const service = text(at(incident, 'service'), 'summary')
  const status = text(incident, 'status')
  const assignees = summaries(incident, 'assignees')
  const teams = summaries(incident, 'teams')
  const kind = meaning(KINDS, action) ?? 'updated'
  const isByUser = kind === 'created' && text(agent, 'type') === 'user_reference'
  const priority = text(at(incident, 'priority'), 'summary')
  const escalation = text(at(incident, 'escalation_policy'), 'summary')
  skip(incident, 'service', 'assignees', 'teams', 'priority', 'escalation_policy', 'created_at')
  return {
    kind,
    ticket: {
      id: text(incident, 'id'),
      title: text(incident, 'title', 'summary'),
      description: text(incident, 'description'),
      category: service,
      priority: priorityOf(priority, text(incident, 'urgency')),
      status: meaning(STATUSES, status),
      userId: isByUser ? text(agent, 'id') : null,
      updatedAt: time(event, 'occurred_at'),
      metadata: {
        status,
        number: text(incident, 'number'),
        url: text(incident, 'html_url'),
        urgency: text(incident, 'urgency'),
        service,
        teams,
        assignees,
        escalation_policy: escalation,
        incident_key: text(incident, 'incident_key'),
        via: text(at(event, 'client'), 'name'),
        requester_name: isByUser ? text(agent, 'summary') : null,
      },
    },
  }
}

/** The urgency says how loud the pager is, and so stands in only where no priority was given that can be read. */
function priorityOf(priority: string | null, urgency: string | null) {
  const is = priorityFrom(priority) ?? priorityFromLabels(priority === null ? [] : [priority]).is
  return { is: is ?? priorityFrom(urgency), said: priority ?? urgency }
}

/** Something said or done about an incident, which is named but not told. */
function readAbout(event: Fields, data: Fields): NativeEvent {
  const incident = at(data, 'incident')
  const comment = commentOf(event, data)
  const service = text(at(data, 'service'), 'summary')
  skip(event, 'occurred_at')
  skip(data, 'service', 'trimmed')
  return {
    kind: comment === null ? 'updated' : 'commented',
    ticket: {
      id: text(incident, 'id'),
      title: text(incident, 'summary', 'title'),
      category: service,
      metadata: { url: text(incident, 'html_url'), service },
    },
    comment,
  }
}

function commentOf(event: Fields, data: Fields): NativeComment | null {
  const said = text(data, 'content', 'message')
  if (said === null) return null
  const isResponder = has(data, 'user')
  const author = isResponder ? at(data, 'user') : at(event, 'agent')
  const isPublished = text(data, 'type') === 'incident_status_update'
  const comment: NativeComment = {
    id: text(data, 'id'),
    body: said,
    public: isPublished,
    author: text(author, 'summary'),
    authorId: text(author, 'id'),
    byStaff: true,
  }
  skip(data, 'user')
  return comment
}

const summaries = (fields: Fields, key: string): string[] =>
  list(fields, key).flatMap((one) => text(one, 'summary', 'name') ?? [])
