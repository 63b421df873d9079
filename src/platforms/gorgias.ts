import { at, type Fields, flag, isFilled, list, meaning, skip, text, time, words } from '../core/fields.ts'
import { isObject } from '../core/json.ts'
import { definePlatform, type NativeComment, type NativeEvent } from '../core/native.ts'
import type { Incoming } from '../core/platform.ts'
import { html, type Rich } from '../core/rich.ts'
import { sharedToken } from '../core/signature.ts'
import { type EventKind, isResolved, type Status } from '../core/ticket.ts'

const STATUSES: Readonly<Record<string, Status>> = {
  new: 'new',
  open: 'open',
  closed: 'closed',
  resolved: 'resolved',
}

/** HTTP integrations: the body is what their owner has written, mostly the ticket as the API has it. */
export default definePlatform({
  id: 'gorgias',
  label: 'Gorgias',
  kinds: ['created', 'updated', 'commented', 'solved', 'reopened', 'deleted'],
  recognises: (payload) => !('article' in payload) && (isEvent(payload) || isTicket(payload['ticket'])),

  schemes: { token: sharedToken() },
  priorities: { critical: 'urgent', high: 'high', normal: 'medium', low: 'low' },

  // Each message is there as text and as HTML, with and without what it quotes.
  noise: /^(?:body_html|body_text|headers|integrations|meta|stripped_html|stripped_text|uri)$/,
  read,
})

/** Gorgias names its triggers with hyphens, as nobody else does: `ticket-message-created`. */
function isEvent({ event, event_type: type }: Incoming['payload']): boolean {
  const said = isObject(event) ? event['type'] : (event ?? type)
  return typeof said === 'string' && said.startsWith('ticket-')
}

function isTicket(ticket: unknown): boolean {
  if (!isObject(ticket)) return false
  if ('created_datetime' in ticket || 'last_message_datetime' in ticket) return true
  return 'customer' in ticket && 'channel' in ticket && 'messages' in ticket
}

function read(body: Fields): NativeEvent {
  const nested = at(body, 'ticket')
  const ticket = isFilled(nested) ? nested : body
  const customer = isFilled(at(ticket, 'customer')) ? at(ticket, 'customer') : at(body, 'customer')
  const event = text(at(body, 'event'), 'type') ?? text(body, 'event', 'event_type') ?? ''
  const said = told(ticket, 'status')
  const status = meaning(STATUSES, said)
  const { first, comment } = messagesOf(body, ticket, event)
  const isGone = event === 'ticket-deleted' || told(ticket, 'trashed_datetime') !== null
  const kind = isGone ? 'deleted' : kindOf(event, status, comment !== null)
  return {
    kind,
    ticket: {
      id: told(ticket, 'id'),
      title: told(ticket, 'subject') ?? text(body, 'subject', 'title'),
      description: descriptionOf(ticket, first, comment !== null),
      category: told(ticket, 'category'),
      priority: told(ticket, 'priority'),
      status: isGone ? 'closed' : status,
      userId: text(customer, 'id') ?? told(ticket, 'customer_id'),
      email: text(customer, 'email') ?? told(ticket, 'customer_email', 'email'),
      updatedAt: time(ticket, 'updated_datetime', 'ticket_updated_datetime', 'updated_at'),
      metadata: {
        status: said,
        tags: [...words(ticket, 'tags'), ...words(ticket, 'ticket_tags')],
        channel: told(ticket, 'channel'),
        via: told(ticket, 'via'),
        url: told(ticket, 'url', 'link'),
        requester_name: text(customer, 'name') ?? told(ticket, 'customer_name'),
        agent: text(at(ticket, 'assignee_user'), 'name') ?? told(ticket, 'assignee_name'),
        spam: flag(ticket, 'spam') || null,
        attachments: first === null ? null : attachmentsOf(first),
      },
    },
    comment,
  }
}

/** Where a body without structure has `{{message.body_text}}`. */
const FLAT = ['message_body_text', 'message_text', 'message_body', 'message', 'body_text', 'text', 'body']

const told = (ticket: Fields, ...keys: string[]) => text(ticket, ...keys.flatMap((key) => [`ticket_${key}`, key]))

/** What the ticket says itself, and what was last said on it. */
function messagesOf(
  body: Fields,
  ticket: Fields,
  event: string,
): { first: Fields | null; comment: NativeComment | null } {
  const messages = list(ticket, 'messages')
  const [first = null] = messages
  const single = at(body, 'message')
  const latest = isFilled(single) ? single : (messages.at(-1) ?? null)
  skip(ticket, 'messages') // each of them was news once
  if (latest === null) return { first, comment: flatComment(ticket, event) }
  const isOpening =
    told(ticket, 'messages_count') === '1' ||
    (first === null ? event === 'ticket-created' : latest === first || text(latest, 'id') === text(first, 'id'))
  if (isOpening) return { first: first ?? latest, comment: null }
  // That it could not be sent does not make it said.
  return { first, comment: event === 'ticket-message-failed' ? null : commentOf(latest) }
}

function descriptionOf(ticket: Fields, first: Fields | null, isSaid: boolean): Rich {
  if (first !== null) return bodyOf(first, ['body_text', 'stripped_text'])
  return html(ticket, 'description', 'ticket_description', ...(isSaid ? [] : FLAT))
}

/** What is text may well speak of `<b>`. */
function bodyOf(message: Fields, plain: string[]): Rich {
  const written = text(message, ...plain)
  return written === null ? html(message, 'stripped_html', 'body_html') : { text: written }
}

function commentOf(message: Fields): NativeComment {
  const sender = at(message, 'sender')
  const isPublic = flag(message, 'public')
  return {
    id: text(message, 'id'),
    body: bodyOf(message, ['stripped_text', 'body_text']),
    public: text(message, 'channel') === 'internal-note' ? false : isPublic,
    author: text(sender, 'name') ?? text(sender, 'email'),
    authorId: text(sender, 'id'),
    byStaff: flag(message, 'from_agent'),
  }
}

function flatComment(ticket: Fields, event: string): NativeComment | null {
  if (event !== 'ticket-message-created') return null
  return {
    id: text(ticket, 'message_id'),
    body: html(ticket, ...FLAT),
    public: flag(ticket, 'message_public') ?? flag(ticket, 'public'),
    author: text(ticket, 'sender_name', 'message_sender_name'),
    byStaff: flag(ticket, 'message_from_agent') ?? flag(ticket, 'from_agent'),
  }
}

function kindOf(event: string, status: Status | null, isSaid: boolean): EventKind {
  if (event === 'ticket-created') return 'created'
  if (event === 'ticket-message-created' && isSaid) return 'commented'
  if (isResolved(status)) return 'solved'
  // A ticket is open or closed, so one that changes to open was closed.
  return event === 'ticket-status-updated' && status === 'open' ? 'reopened' : 'updated'
}

const attachmentsOf = (message: Fields) =>
  list(message, 'attachments').map((file) => ({
    name: text(file, 'name'),
    size: text(file, 'size'),
    url: text(file, 'url'),
  }))
