import { at, type Fields, flag, isFilled, list, skip, text, time, words } from '../core/fields.ts'
import { definePlatform, ignored, type NativeComment, type NativeEvent } from '../core/native.ts'
import { html } from '../core/rich.ts'
import { hmac, sharedToken } from '../core/signature.ts'
import { type EventKind, isResolved, type Status } from '../core/ticket.ts'

/** What ends a ticket, whatever state it says that the ticket is in. */
const OVER = new Set(['ticket.closed', 'ticket.deleted'])

/** The categories of ticket states, and the states of conversations. */
const STATUSES = new Map(
  Object.entries<Status>({
    submitted: 'new',
    in_progress: 'open',
    waiting_on_customer: 'pending',
    resolved: 'resolved',
    open: 'open',
    snoozed: 'pending',
    closed: 'closed',
  }),
)

const STAFF = new Set(['admin', 'team', 'bot', 'operator'])
const CUSTOMERS = new Set(['user', 'lead', 'contact', 'visitor'])

/** Topics whose newest part is something that somebody said. */
const SAID = /\.(?:replied|noted|note\.created|closed|opened)$/
/** Read by somebody; or a reply that was told before, in another language. */
const NO_CHANGE = /^conversation\.read$|\.translated$/

/** Tickets and conversations: a customer's ticket is a conversation with a number, and both carry the same id. */
export default definePlatform({
  id: 'intercom',
  label: 'Intercom',
  kinds: ['created', 'updated', 'commented', 'solved', 'reopened', 'deleted', 'ignored'],
  userAgent: 'intercom-webhooks',
  recognises: (payload) => payload['type'] === 'notification_event' && 'topic' in payload,

  schemes: {
    // X-Hub-Signature is sent by others as well: it says nothing of who sent it, and only sha1 counts here.
    signature: hmac({ algorithm: 'sha1', encoding: 'hex', header: 'x-hub-signature', prefix: 'sha1=' }),
    token: sharedToken(),
  },

  priorities: { priority: 'high', not_priority: 'medium' },

  deliveryId: ({ payload: { id } }) => (typeof id === 'string' ? id : null),

  noise: /^(?:type|avatar|do_not_track|custom_attributes|linked_objects|statistics|ai_agent|first_contact_reply)$/,

  read: (body) => {
    const topic = text(body, 'topic') ?? ''
    skip(body, 'type', 'id', 'links', 'self', 'delivery_status', 'delivery_attempts', 'delivered_at', 'first_sent_at')
    skip(body, 'created_at')
    const account = text(body, 'app_id')
    const item = at(body, 'data', 'item')
    if (topic === 'ping') return ignored('ping')
    if (NO_CHANGE.test(topic)) return ignored('no_change')
    if (topic.startsWith('ticket.')) return readTicket(topic, item, account)
    return /^conversation(?:_part)?\./.test(topic) ? readConversation(topic, item, account) : ignored('not_a_ticket')
  },
})

/** Some events are about a part of a ticket or conversation, which then holds the whole. */
function wholeOf(item: Fields, key: string): Fields {
  const nested = at(item, key)
  return isFilled(nested) ? nested : item
}

function readTicket(topic: string, item: Fields, account: string | null): NativeEvent {
  const ticket = wholeOf(item, 'ticket')
  const attributes = at(ticket, 'ticket_attributes')
  const state = at(ticket, 'ticket_state')
  const said = text(state, 'category') ?? text(ticket, 'ticket_state')
  const status = statusOf(said)
  const parts = list(at(ticket, 'ticket_parts'), 'ticket_parts')
  const before = parts.findLast((part) => text(part, 'previous_ticket_state') !== null)
  const wasResolved = before !== undefined && text(before, 'previous_ticket_state') === 'resolved'
  const part = wholeOf(item, 'ticket_part')
  const comment = commentOf(topic, part === item ? spokenIn(parts) : part)
  const [contact] = list(at(ticket, 'contacts'), 'contacts')
  const event: NativeEvent = {
    kind: ticketKind(topic, status, wasResolved),
    ticket: {
      account,
      id: text(ticket, 'id', 'ticket_id'),
      key: text(ticket, 'ticket_id'),
      title: text(attributes, '_default_title_') ?? text(ticket, 'title'),
      description: html(attributes, '_default_description_'),
      category: text(at(ticket, 'ticket_type'), 'name'),
      priority: text(ticket, 'priority') ?? text(attributes, 'Priority', 'priority'),
      status: OVER.has(topic) && !isResolved(status) ? 'closed' : status,
      userId: idOf(contact) ?? (comment?.byStaff === false ? (comment.authorId ?? null) : null),
      email: (contact && text(contact, 'email')) ?? customerEmail(part),
      updatedAt: time(ticket, 'updated_at'),
      metadata: {
        app_id: account,
        status: said,
        state_label: text(state, 'internal_label'),
        ticket_category: text(ticket, 'category'),
        requester_name: contact && text(contact, 'name'),
        requester_external_id: contact && text(contact, 'external_id'),
        via: text(ticket, 'channel'),
        assignee_id: assigned(text(ticket, 'admin_assignee_id')),
        team_id: assigned(text(ticket, 'team_assignee_id')),
        attachments: attachmentsOf(part),
      },
    },
    comment,
  }
  // The whole history and the form's definition: what is new of them has been read.
  skip(ticket, 'ticket_parts', 'ticket_type', 'ticket_state', 'contacts', 'open', 'created_at')
  skip(item, 'ticket_part')
  return event
}

function ticketKind(topic: string, status: Status | null, wasResolved: boolean): EventKind {
  if (topic === 'ticket.created') return 'created'
  if (topic === 'ticket.closed') return 'solved'
  if (topic === 'ticket.deleted') return 'deleted'
  if (SAID.test(topic)) return 'commented'
  if (topic !== 'ticket.state.updated') return 'updated'
  if (isResolved(status)) return 'solved'
  return wasResolved ? 'reopened' : 'updated'
}

function readConversation(topic: string, item: Fields, account: string | null): NativeEvent {
  const conversation = wholeOf(item, 'conversation')
  const opening = wholeOf(conversation, 'source')
  const message = opening === conversation ? at(conversation, 'conversation_message') : opening
  const description = html(message, 'body')
  const said = text(conversation, 'state') ?? stateOf(flag(conversation, 'open'))
  const parts = list(at(conversation, 'conversation_parts'), 'conversation_parts')
  const comment = commentOf(topic, spokenIn(parts))
  const user = customerOf(conversation, message)
  const event: NativeEvent = {
    kind: conversationKind(topic),
    ticket: {
      account,
      id: text(conversation, 'id', 'conversation_id'),
      title: text(conversation, 'title') ?? html(message, 'subject').text,
      description,
      standInDescription: description.text,
      priority: text(conversation, 'priority'),
      status: conversationStatus(topic, said),
      userId: idOf(user),
      email: text(user, 'email'),
      updatedAt: time(conversation, 'updated_at'),
      metadata: {
        app_id: account,
        status: said,
        tags: words(at(conversation, 'tags'), 'tags'),
        url: text(at(conversation, 'links'), 'conversation_web') ?? text(message, 'url'),
        requester_name: text(user, 'name'),
        requester_external_id: text(user, 'user_id', 'external_id'),
        via: text(message, 'type', 'delivered_as'),
        assignee: text(at(conversation, 'assignee'), 'name'),
        assignee_id: assigned(text(conversation, 'admin_assignee_id')) ?? idOf(at(conversation, 'assignee')),
        team_id: assigned(text(conversation, 'team_assignee_id')),
        rating: text(at(conversation, 'conversation_rating'), 'rating'),
        attachments: attachmentsOf(message),
      },
    },
    comment,
  }
  skip(conversation, 'conversation_parts', 'contacts', 'user', 'assignee', 'open', 'read', 'created_at')
  skip(message, 'id', 'author', 'attachments')
  return event
}

function conversationKind(topic: string): EventKind {
  if (topic === 'conversation.deleted') return 'deleted'
  if (topic.endsWith('.closed')) return 'solved'
  if (topic.endsWith('.opened')) return 'reopened'
  if (SAID.test(topic)) return 'commented'
  return /^conversation\.[a-z.]*created$/.test(topic) ? 'created' : 'updated'
}

function conversationStatus(topic: string, said: string | null): Status | null {
  if (topic.endsWith('.closed') || topic === 'conversation.deleted') return 'closed'
  return topic.endsWith('.opened') ? 'open' : statusOf(said)
}

const stateOf = (isOpen: boolean | null) => (isOpen === null ? null : isOpen ? 'open' : 'closed')

/** The customer, under each of the names of the versions; an agent may have begun the conversation. */
function customerOf(conversation: Fields, message: Fields): Fields {
  const author = at(message, 'author')
  const [contact] = list(at(conversation, 'contacts'), 'contacts')
  const user = at(conversation, 'user')
  if (isFilled(user)) return user
  if (text(author, 'email') !== null && !STAFF.has(text(author, 'type') ?? '')) return author
  return contact ?? user
}

const customerEmail = (part: Fields): string | null =>
  isStaff(at(part, 'author')) === false ? text(at(part, 'author'), 'email') : null

const spokenIn = (parts: Fields[]): Fields | undefined => parts.findLast((part) => text(part, 'body') !== null)

function commentOf(topic: string, part: Fields | undefined): NativeComment | null {
  if (part === undefined || !SAID.test(topic)) return null
  const author = at(part, 'author')
  return {
    id: text(part, 'id'),
    body: html(part, 'body'),
    public: !topic.includes('note') && text(part, 'part_type') !== 'note',
    author: text(author, 'name', 'email'),
    authorId: text(author, 'id'),
    byStaff: isStaff(author),
  }
}

function isStaff(author: Fields): boolean | null {
  const type = text(author, 'type') ?? ''
  if (STAFF.has(type)) return true
  return CUSTOMERS.has(type) ? false : null
}

const attachmentsOf = (part: Fields) =>
  list(part, 'attachments').map((file) => ({
    name: text(file, 'name'),
    size: text(file, 'filesize'),
    url: text(file, 'url'),
  }))

/** Nobody has the id 0. */
const assigned = (id: string | null) => (id === '0' ? null : id)
const idOf = (person: Fields | undefined): string | null => (person === undefined ? null : text(person, 'id'))
const statusOf = (said: string | null): Status | null =>
  said === null ? null : (STATUSES.get(said.toLowerCase()) ?? null)
