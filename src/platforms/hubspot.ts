import { at, type Fields, fieldsOf, has, isFilled, raw, rest, text, time, timeFrom } from '../core/fields.ts'
import { isObject } from '../core/json.ts'
import { definePlatform, ignored, type NativeEvent, type NativeTicket } from '../core/native.ts'
import { html } from '../core/rich.ts'
import { hmac, saltedHash, sharedToken, timed } from '../core/signature.ts'
import type { EventKind, Status } from '../core/ticket.ts'

/** What HubSpot calls the type "ticket" where it numbers its types. */
const TICKETS = '0-5'

const KINDS = new Map(
  Object.entries<EventKind>({
    creation: 'created',
    propertyChange: 'updated',
    merge: 'updated',
    deletion: 'deleted',
    privacyDeletion: 'deleted',
    restore: 'reopened',
  }),
)

/** The stages of the pipeline that every account has; those of its own pipelines have long numbers. */
const STAGES = new Map(Object.entries<Status>({ '1': 'new', '2': 'pending', '3': 'open', '4': 'closed' }))

const TICKET_PROPERTIES = ['subject', 'content', 'hs_ticket_priority', 'hs_ticket_category', 'hs_ticket_id']

const SENT_AT = 'x-hubspot-request-timestamp'

/** HubSpot decodes these in the URL that it signs, and leaves every other escape (its "Validating requests"). */
const DECODED = new Map(
  Object.entries<string>({
    '%3A': ':',
    '%2F': '/',
    '%3F': '?',
    '%40': '@',
    '%21': '!',
    '%24': '$',
    '%27': "'",
    '%28': '(',
    '%29': ')',
    '%2A': '*',
    '%2C': ',',
    '%3B': ';',
  }),
)

/**
 * App webhooks, up to a hundred events at once, each of which tells one thing of a ticket and none its words; and the
 * webhooks of workflows, which send the ticket's properties. Imports are tickets like others: what an administrator
 * does not want is left out of the subscription, and a missing ticket is the worse mistake.
 */
export default definePlatform({
  id: 'hubspot',
  label: 'HubSpot',
  kinds: ['created', 'updated', 'solved', 'reopened', 'deleted', 'ignored'],
  headers: ['x-hubspot-signature-v3', 'x-hubspot-signature', 'x-hubspot-signature-version', SENT_AT],
  userAgent: 'HubSpot',
  recognises: (payload) =>
    ('subscriptionType' in payload && 'objectId' in payload) ||
    (typeof payload['objectTypeId'] === 'string' && 'portalId' in payload),

  schemes: {
    signature: hmac({
      algorithm: 'sha256',
      encoding: 'base64',
      header: 'x-hubspot-signature-v3',
      ...timed(SENT_AT, (sentAt, { method, url, body }) => [method, asSigned(url), body, sentAt]),
    }),
    // Only for who chooses it: the one signature that older apps have. It can be replayed.
    v1: saltedHash('x-hubspot-signature'),
    token: sharedToken(),
  },

  // An event has an eventId, but two events may have the same.
  events: (body) => (Array.isArray(body) ? body.toSorted((a, b) => occurredAt(a) - occurredAt(b)) : null),

  noise: /^(?:subscriptionId|eventId|appId|attemptNumber|occurredAt|changeFlag|sourceId|versions|timestamp|sourceVid)$/,

  read: (body) => (has(body, 'subscriptionType') ? readEvent(body) : readWorkflow(body)),
})

const asSigned = (url: string) => url.replace(/%[0-9A-F]{2}/gi, (escape) => DECODED.get(escape.toUpperCase()) ?? escape)

const occurredAt = (event: unknown): number => (isObject(event) ? (time(fieldsOf(event), 'occurredAt') ?? 0) : 0)

/**
 * Events tell one property each, so that none is made obsolete by a later one about another: they apply in the order
 * in which they arrive, within a body in the order in which they happened.
 */
function readEvent(event: Fields): NativeEvent {
  const [subject, action = ''] = (text(event, 'subscriptionType') ?? '').split('.')
  const isTicket = subject === 'ticket' || (subject === 'object' && text(event, 'objectTypeId') === TICKETS)
  if (!isTicket) return ignored('not_a_ticket')
  const kind = KINDS.get(action)
  if (kind === undefined) return ignored('no_change')
  const property = propertyIn(event)
  const ticket = ticketOf(property)
  const status = statusAfter(action, kind, ticket, propertyOf(property, 'closed_date'))
  return {
    kind: status === 'closed' && kind === 'updated' ? 'solved' : kind,
    ticket: {
      ...ticket,
      account: text(event, 'portalId'),
      id: text(event, 'objectId', 'primaryObjectId'),
      status,
      standInDescription: '',
      metadata: {
        ...ticket.metadata,
        portal_id: text(event, 'portalId'),
        change_source: text(event, 'changeSource'),
        merged_ids: raw(event, 'mergedObjectIds'),
        merged_into: text(event, 'newObjectId'),
        properties: rest(property),
      },
    },
  }
}

function propertyIn(event: Fields): Fields {
  const name = text(event, 'propertyName')
  return fieldsOf(name === null ? {} : { [name]: raw(event, 'propertyValue') })
}

/** A pipeline of one's own has stages that say nothing here, but a closed ticket has the date of it in each. */
function statusAfter(
  action: string,
  kind: EventKind,
  { status }: NativeTicket,
  closedAt: string | null,
): Status | null {
  if (action === 'restore') return 'open'
  return kind === 'deleted' || closedAt !== null ? 'closed' : (status ?? null)
}

/** Properties as `{"subject": {"value": …}}`, as `{"subject": …}`, or as the body itself, where somebody chose them. */
function readWorkflow(body: Fields): NativeEvent {
  const nested = at(body, 'properties')
  const properties = isFilled(nested) ? nested : body
  const type = text(body, 'objectTypeId') ?? text(body, 'objectType')?.toUpperCase()
  const isTicket = type === undefined ? TICKET_PROPERTIES.some((name) => has(properties, name)) : isTicketType(type)
  if (!isTicket) return ignored('not_a_ticket')
  const ticket = ticketOf(properties)
  const account = text(body, 'portalId')
  return {
    kind: ticket.status === 'closed' ? 'solved' : 'updated',
    ticket: {
      ...ticket,
      account,
      id: text(body, 'objectId') ?? propertyOf(properties, 'hs_object_id') ?? propertyOf(properties, 'hs_ticket_id'),
      updatedAt: timeFrom(propertyOf(properties, 'hs_lastmodifieddate')),
      metadata: { ...ticket.metadata, portal_id: account },
    },
  }
}

const isTicketType = (type: string) => type === TICKETS || type === 'TICKET'

function ticketOf(properties: Fields): NativeTicket {
  const stage = propertyOf(properties, 'hs_pipeline_stage')
  return {
    id: null,
    title: propertyOf(properties, 'subject'),
    description: isObject(properties.value['content'])
      ? html(at(properties, 'content'), 'value')
      : html(properties, 'content'),
    category: propertyOf(properties, 'hs_ticket_category'),
    priority: propertyOf(properties, 'hs_ticket_priority'),
    status: stage === null ? null : (STAGES.get(stage) ?? null),
    email: propertyOf(properties, 'email'),
    metadata: { status: stage },
  }
}

const propertyOf = (properties: Fields, name: string): string | null =>
  text(properties, name) ?? text(at(properties, name), 'value')
