import { at, type Fields, flag, has, isFilled, meaning, raw, text, time, words } from '../core/fields.ts'
import { isObject } from '../core/json.ts'
import { definePlatform, ignored, type NativeComment, type NativeEvent } from '../core/native.ts'
import { html } from '../core/rich.ts'
import { type Headers, headerText, sharedToken, standardWebhooks } from '../core/signature.ts'
import { type EventKind, isResolved, type Status } from '../core/ticket.ts'

/** By the last word of the event's type. */
const KINDS: Readonly<Record<string, EventKind>> = {
  created: 'created',
  opened: 'created',
  new: 'created',
  commented: 'commented',
  replied: 'commented',
  solved: 'solved',
  resolved: 'solved',
  closed: 'solved',
  completed: 'solved',
  reopened: 'reopened',
  deleted: 'deleted',
  removed: 'deleted',
}

const STATUSES: Readonly<Record<string, Status>> = {
  new: 'new',
  open: 'open',
  opened: 'open',
  reopened: 'open',
  in_progress: 'open',
  pending: 'pending',
  waiting: 'pending',
  on_hold: 'pending',
  hold: 'pending',
  resolved: 'resolved',
  solved: 'resolved',
  done: 'resolved',
  closed: 'closed',
}

const NAMES = ['webhook-id', 'webhook-timestamp', 'webhook-signature'] as const

/** Whoever follows standardwebhooks.com: `{type, timestamp, data}`, with the ticket in `data` in the flat form's words. */
export default definePlatform({
  id: 'standard_webhooks',
  name: 'generic',
  aliases: ['generic', 'svix'],
  label: 'Standard Webhooks',
  kinds: ['created', 'updated', 'commented', 'solved', 'reopened', 'deleted', 'ignored'],
  userAgent: 'Svix-Webhooks',
  // Others sign in the same way, but have a format of their own.
  recognises: (payload, headers) =>
    typeof payload['type'] === 'string' &&
    isObject(payload['data']) &&
    NAMES.every((name) => standardHeader(headers, name) !== null),

  schemes: {
    signature: (request, secrets, now) =>
      standardWebhooks({ ...request, headers: standardHeaders(request.headers) }, secrets, now),
    token: sharedToken(),
  },

  deliveryId: ({ headers }) => standardHeader(headers, 'webhook-id'),

  read: (body) => readEvent(wordsOf(text(body, 'type') ?? ''), at(body, 'data'), time(body, 'timestamp')),
})

/** "ticket.comment_added" and "ticketCommentAdded" are the same three words. */
const wordsOf = (type: string) =>
  type
    .replace(/([a-z])([A-Z])/g, '$1.$2')
    .toLowerCase()
    .split(/[^a-z]+/)

/** Svix, where the standard comes from, has names of its own for the same headers. */
const standardHeader = (headers: Headers, name: (typeof NAMES)[number]) =>
  headerText(headers, name) ?? headerText(headers, name.replace('webhook', 'svix'))

const standardHeaders = (headers: Headers): Headers =>
  Object.fromEntries(NAMES.map((name) => [name, standardHeader(headers, name) ?? undefined]))

const TICKETS = /^(?:ticket|case|issue|incident|request|conversation|support|helpdesk)s?$/
const COMMENTS = /^(?:comment|reply|message|note)s?$/
const IS_MADE = /^(?:created|added|posted|received|new|commented|replied)$/
const BODIES = ['description', 'body', 'content', 'message', 'text']

function readEvent(type: readonly string[], data: Fields, sentAt: number | null): NativeEvent {
  const nested = at(data, 'ticket')
  const ticket = isFilled(nested) ? nested : data
  const namesTicket = isFilled(nested) || has(data, 'ticket_id') || has(data, 'ticketId')
  const isTicket = TICKETS.test(type[0] ?? '') || type.includes('ticket')
  const isComment = type.some((word) => COMMENTS.test(word))
  const title = text(ticket, 'title', 'subject', 'summary')
  // An account, an order or an e-mail has an id as well, and often a name.
  const isWhole = !isComment && title !== null && BODIES.some((key) => has(ticket, key))
  if (!isTicket && !namesTicket && !isWhole) return ignored('not_a_ticket')

  const kind = kindOf(type, isTicket, isComment)
  // A comment was changed or deleted, which says nothing of the ticket.
  if (isComment && kind !== 'commented' && title === null) return ignored('no_change')
  const id =
    text(data, 'ticket_id', 'ticketId') ?? text(ticket, 'ticket_id', 'id', 'external_id', 'externalId', 'number')
  const comment = commentIn(data) ?? (kind === 'commented' && ticket === data ? bareComment(data, namesTicket) : null)
  const said = text(ticket, 'status', 'state')
  const own = raw(ticket, 'metadata')
  return {
    kind,
    ticket: {
      id,
      key: text(ticket, 'key', 'reference'),
      title,
      // Where the body is the comment's, the ticket's own is not told.
      description:
        comment !== null && ticket === data && kind === 'commented'
          ? html(data, 'description')
          : html(ticket, ...BODIES),
      category: text(ticket, 'category', 'ticket_type', 'type'),
      priority: text(ticket, 'priority', 'severity'),
      status: statusOf(kind, type, said),
      ...customerOf(ticket),
      updatedAt: time(ticket, 'updated_at', 'updatedAt') ?? (kind === 'commented' ? null : sentAt),
      metadata: {
        ...(isObject(own) ? own : {}),
        status: said,
        tags: words(ticket, 'tags'),
        url: text(ticket, 'url', 'link', 'html_url', 'web_url'),
        requester_name: text(ticket, 'requester_name', 'customer_name', 'user_name') ?? text(personOf(ticket), 'name'),
      },
    },
    comment,
  }
}

const personOf = (ticket: Fields) =>
  ['requester', 'customer', 'user', 'contact'].map((key) => at(ticket, key)).find(isFilled) ?? at(ticket, 'requester')

const customerOf = (ticket: Fields) => ({
  userId:
    text(ticket, 'user_id', 'customer_id', 'requester_id', 'userId', 'customerId') ?? text(personOf(ticket), 'id'),
  email:
    text(ticket, 'customer_email', 'user_email', 'email', 'requester_email', 'customerEmail', 'userEmail') ??
    text(personOf(ticket), 'email'),
})

function kindOf(type: readonly string[], isTicket: boolean, isComment: boolean): EventKind {
  if (isComment) return type.some((word) => IS_MADE.test(word)) ? 'commented' : 'updated'
  const verb = isTicket ? type.findLast((word) => Object.hasOwn(KINDS, word)) : undefined
  return meaning(KINDS, verb ?? null) ?? 'updated'
}

/** What the event is outweighs a status that was read before it. */
function statusOf(kind: EventKind, type: readonly string[], said: string | null): Status | null {
  const word = (said ?? '').toLowerCase().replaceAll(/[\s-]+/g, '_')
  const status = meaning(STATUSES, word)
  const isDone = isResolved(status)
  if (kind === 'deleted') return 'closed'
  if (kind === 'solved') return isDone ? status : type.includes('closed') ? 'closed' : 'resolved'
  return kind === 'reopened' && (isDone || status === null) ? 'open' : status
}

/** A comment that has an object of its own. */
function commentIn(data: Fields): NativeComment | null {
  const found = ['comment', 'reply', 'message', 'note'].map((key) => at(data, key)).find(isFilled)
  return found === undefined
    ? null
    : { ...saidBy(found), id: text(found, 'id'), body: html(found, 'body', 'content', 'text', 'message') }
}

/** A comment that lies among the ticket's own fields: where `comment` is not its text, the body is. */
function bareComment(data: Fields, namesTicket: boolean): NativeComment {
  return {
    ...saidBy(data),
    id: text(data, 'comment_id', ...(namesTicket ? ['id'] : [])),
    body: html(data, 'comment', 'latest_comment', 'reply', 'note', 'body', 'content', 'message', 'text'),
  }
}

function saidBy(fields: Fields): Omit<NativeComment, 'body'> {
  const author =
    ['author', 'user', 'sender', 'from'].map((one) => at(fields, one)).find(isFilled) ?? at(fields, 'author')
  const isHidden = flag(fields, 'private') ?? flag(fields, 'internal') ?? flag(fields, 'is_internal')
  return {
    public: flag(fields, 'public') ?? flag(fields, 'is_public') ?? (isHidden === null ? null : !isHidden),
    author: text(author, 'name', 'email') ?? text(fields, 'author', 'author_name', 'author_email'),
    authorId: text(author, 'id') ?? text(fields, 'author_id', 'user_id'),
    byStaff: flag(author, 'is_staff') ?? flag(fields, 'by_staff') ?? flag(fields, 'is_staff'),
  }
}
