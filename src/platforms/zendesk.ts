import { at, type Fields, flag, has, isFilled, meaning, skip, text, time, words } from '../core/fields.ts'
import { definePlatform, ignored, type NativeEvent } from '../core/native.ts'
import { html } from '../core/rich.ts'
import { headerText, hmac, sharedToken, timed } from '../core/signature.ts'
import { type EventKind, isResolved, type Status } from '../core/ticket.ts'

const EVENT = 'zen:event-type:'

const KINDS: Readonly<Record<string, EventKind>> = {
  created: 'created',
  comment_added: 'commented',
  comment_made_private: 'updated',
  soft_deleted: 'deleted',
  permanently_deleted: 'deleted',
  marked_as_spam: 'deleted',
  undeleted: 'reopened',
}

const STATUSES: Readonly<Record<string, Status>> = {
  new: 'new',
  open: 'open',
  pending: 'pending',
  hold: 'pending',
  'on-hold': 'pending',
  solved: 'resolved',
  closed: 'closed',
  deleted: 'closed',
  archived: 'closed',
  scrubbed: 'closed',
}

const SENT_AT = 'x-zendesk-webhook-signature-timestamp'

/** Event webhooks, and the triggers whose body an administrator has written (JSON or form). */
export default definePlatform({
  id: 'zendesk',
  label: 'Zendesk',
  kinds: ['created', 'updated', 'commented', 'solved', 'reopened', 'deleted', 'ignored'],
  headers: ['x-zendesk-webhook-id', 'x-zendesk-webhook-invocation-id', 'x-zendesk-webhook-signature'],
  userAgent: 'Zendesk Webhook',
  recognises: (payload) => isEvent(payload['type']) || 'ticket_title' in payload,

  schemes: {
    // Zendesk signs timestamp + body, in that order (developer.zendesk.com, "Verifying webhooks").
    signature: hmac({
      algorithm: 'sha256',
      encoding: 'base64',
      header: 'x-zendesk-webhook-signature',
      ...timed(SENT_AT, (sentAt, { body }) => [sentAt, body]),
    }),
    token: sharedToken(),
  },

  deliveryId: ({ headers, payload }) =>
    isEvent(payload['type']) && typeof payload['id'] === 'string'
      ? payload['id']
      : headerText(headers, 'x-zendesk-webhook-invocation-id'),

  read: (body, { headers }) => {
    const type = text(body, 'type')
    const account = text(body, 'account_id') ?? headerText(headers, 'x-zendesk-account-id')
    return isEvent(type) ? readEvent(body, type.slice(EVENT.length), account) : readTrigger(body, account)
  },
})

const isEvent = (type: unknown): type is string => typeof type === 'string' && type.startsWith(EVENT)

function readEvent(body: Fields, type: string, account: string | null): NativeEvent {
  if (!type.startsWith('ticket.')) return ignored('not_a_ticket')
  // What tells of the delivery and not of the ticket; the delivery keeps it.
  skip(body, 'id', 'time', 'subject', 'zendesk_event_version')
  skip(at(body, 'event'), 'current', 'previous', 'meta')
  const detail = at(body, 'detail')
  const status = statusOf(text(detail, 'status'))
  const comment = at(body, 'event', 'comment')
  const author = at(comment, 'author')
  return {
    kind: kindOf(type.slice('ticket.'.length), text(at(body, 'event'), 'previous'), status),
    ticket: {
      account,
      id: text(detail, 'id') ?? text(body, 'subject')?.replace(/^zen:ticket:/, '') ?? null,
      title: text(detail, 'subject'),
      description: html(detail, 'description'),
      category: text(detail, 'type'),
      priority: text(detail, 'priority'),
      status,
      userId: text(detail, 'requester_id'),
      updatedAt: time(detail, 'updated_at') ?? time(body, 'time'),
      metadata: {
        account_id: account,
        status: text(detail, 'status'),
        tags: words(detail, 'tags'),
        via: text(at(detail, 'via'), 'channel') ?? text(detail, 'via'),
      },
    },
    comment: has(at(body, 'event'), 'comment')
      ? {
          id: text(comment, 'id'),
          body: html(comment, 'body', 'html_body'),
          public: flag(comment, 'is_public'),
          author: text(author, 'name'),
          authorId: text(author, 'id'),
          byStaff: flag(author, 'is_staff'),
        }
      : null,
  }
}

function kindOf(type: string, previous: string | null, status: Status | null): EventKind {
  if (type !== 'status_changed') return meaning(KINDS, type) ?? 'updated'
  if (isResolved(status)) return 'solved'
  return isResolved(statusOf(previous)) ? 'reopened' : 'updated'
}

/** A trigger says neither what happened nor in which words: flat, under `ticket`, in snake or in camel case. */
function readTrigger(body: Fields, account: string | null): NativeEvent {
  const nested = at(body, 'ticket')
  const ticket = isFilled(nested) ? nested : body
  const requester = isFilled(at(ticket, 'requester')) ? at(ticket, 'requester') : at(body, 'requester')
  const said = text(ticket, 'status', 'ticket_status', 'ticketStatus')
  const status = statusOf(said)
  const url = text(ticket, 'link', 'url', 'ticket_url', 'ticket_link', 'ticketUrl')
  const latest = text(ticket, 'latest_comment', 'ticket_latest_comment', 'latestComment')
  return {
    kind: isResolved(status) ? 'solved' : 'updated',
    ticket: {
      account,
      id: text(ticket, 'id', 'ticket_id', 'ticketId', 'external_id') ?? text(body, 'ticket_id', 'ticketId', 'id'),
      title: text(ticket, 'title', 'subject', 'ticket_title', 'ticket_subject', 'ticketTitle', 'ticketSubject'),
      description: html(ticket, 'description', 'body', 'ticket_description', 'ticketDescription', 'comment'),
      category: text(ticket, 'ticket_type', 'type', 'ticketType', 'category'),
      priority: text(ticket, 'priority', 'ticket_priority', 'ticketPriority'),
      status,
      userId: text(requester, 'id') ?? text(ticket, 'requester_id', 'user_id', 'requesterId'),
      email:
        text(requester, 'email') ??
        text(ticket, 'requester_email', 'customer_email', 'user_email', 'requesterEmail', 'email') ??
        text(body, 'requester_email', 'customer_email', 'user_email', 'email'),
      updatedAt: time(ticket, 'updated_at', 'updated_at_with_timestamp', 'updatedAt', 'ticket_updated_at'),
      metadata: {
        account_id: account,
        status: said,
        tags: tagsOf(ticket),
        via: text(at(ticket, 'via'), 'channel') ?? text(ticket, 'via', 'ticket_via'),
        url,
        requester_name: text(requester, 'name') ?? text(ticket, 'requester_name', 'requesterName'),
      },
    },
    comment:
      latest === null ? null : { body: html(ticket, 'latest_comment', 'ticket_latest_comment', 'latestComment') },
  }
}

/** `{{ticket.tags}}` renders as words with spaces between. */
const tagsOf = (ticket: Fields) =>
  ['tags', 'ticket_tags'].flatMap((key) => words(ticket, key)).flatMap((tag) => tag.split(/\s+/))

const statusOf = (status: string | null) => meaning(STATUSES, status)
