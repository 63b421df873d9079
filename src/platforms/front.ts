import { at, type Fields, isFilled, list, skip, text, time, words } from '../core/fields.ts'
import { isObject } from '../core/json.ts'
import { definePlatform, ignored, type NativeComment, type NativeEvent } from '../core/native.ts'
import { html, type Rich } from '../core/rich.ts'
import { headerText, hmac, sharedToken, timed } from '../core/signature.ts'
import type { EventKind, Status } from '../core/ticket.ts'

const SENT_AT = 'x-front-request-timestamp'
const CHALLENGE = 'x-front-challenge'

/** By the event's own type; what is not here changes the conversation. */
const KINDS = new Map(
  Object.entries<EventKind>({
    inbound: 'commented',
    outbound: 'commented',
    out_reply: 'commented',
    forward: 'commented',
    comment: 'commented',
    archive: 'solved',
    reopen: 'reopened',
    restore: 'reopened',
    reminder: 'reopened',
    trash: 'deleted',
  }),
)

/** An application calls them by other names than a rule does. */
const NAMES = new Map(
  Object.entries<string>({
    inbound_received: 'inbound',
    outbound_sent: 'outbound',
    new_comment_added: 'comment',
    conversation_archived: 'archive',
    conversation_reopened: 'reopen',
    conversation_deleted: 'trash',
    conversation_restored: 'restore',
  }),
)

/** Tells a comment again that was told as one. */
const NO_CHANGE = new Set(['mention', 'message_seen'])

const STATUSES = new Map(
  Object.entries<Status>({
    unassigned: 'open',
    assigned: 'open',
    open: 'open',
    waiting: 'pending',
    snoozed: 'pending',
    archived: 'resolved',
    resolved: 'resolved',
    deleted: 'closed',
    trashed: 'closed',
    spam: 'closed',
  }),
)

/** How much later than the conversation its first message may be. A person who writes again takes longer. */
const FIRST_WITHIN_MS = 2000

// A rule signs the body alone, an application the time as well: each has a secret of its own.
const rule = hmac({ algorithm: 'sha1', encoding: 'base64', header: 'x-front-signature' })
const application = hmac({
  algorithm: 'sha256',
  encoding: 'base64',
  header: 'x-front-signature',
  ...timed(SENT_AT, (sentAt, { body }) => [`${sentAt}:`, body]),
})

/** Rules send an event, or a preview of it that lacks the words and the address; an application wraps it. */
export default definePlatform({
  id: 'front',
  label: 'Front',
  kinds: ['created', 'updated', 'commented', 'solved', 'reopened', 'deleted', 'handshake', 'ignored'],
  headers: ['x-front-signature', CHALLENGE, SENT_AT],
  userAgent: 'Front',
  recognises: (payload) =>
    isObject(payload['conversation'])
      ? 'emitted_at' in payload
      : isObject(payload['authorization']) && 'type' in payload,

  schemes: {
    signature: (request, secrets, now) => (SENT_AT in request.headers ? application : rule)(request, secrets, now),
    rule,
    application,
    token: sharedToken(),
  },

  deliveryId: ({ payload }) => {
    const event = isObject(payload['payload']) ? payload['payload'] : payload
    return typeof event['id'] === 'string' ? event['id'] : null
  },

  noise: /^_links$/,

  read: (body, { headers }) => {
    const challenge = headerText(headers, CHALLENGE)
    if (challenge !== null) return { kind: 'handshake', answer: { challenge } }
    const payload = at(body, 'payload')
    const event = isFilled(payload) ? payload : body
    const said = text(event, 'type') ?? text(body, 'type') ?? ''
    const type = NAMES.get(said) ?? said
    if (type === 'sync') return ignored('ping')
    if (NO_CHANGE.has(type)) return ignored('no_change')
    skip(body, 'type', 'authorization')
    skip(event, 'id', 'source')
    return conversationId(event) === null ? ignored('not_a_ticket') : readEvent(event, type)
  },
})

/** A preview may have no more of it than a link. */
const conversationId = (event: Fields): string | null =>
  text(at(event, 'conversation'), 'id') ?? lastOf(text(at(event, '_links', 'related'), 'conversation'))

const lastOf = (link: string | null) => link?.split('/').at(-1) ?? null

/**
 * Each message is an event of its conversation, the first like any later one. Only the first is as old as the
 * conversation: it is the description, and every other one a comment.
 */
function readEvent(event: Fields, type: string): NativeEvent {
  const conversation = at(event, 'conversation')
  const last = at(conversation, 'last_message')
  const target = at(event, 'target', 'data')
  const isMessage = KINDS.get(type) === 'commented' && type !== 'comment'
  const message = isMessage && isFilled(target) ? target : last
  const isFirst = isMessage && isAsOldAs(conversation, message, event)
  const written = bodyOf(message)
  const kind = isFirst ? 'created' : (KINDS.get(type) ?? 'updated')
  const customer = customerOf(conversation)
  const said = text(conversation, 'status_category') ?? text(conversation, 'status')
  const draft: NativeEvent = {
    kind,
    ticket: {
      id: conversationId(event),
      title: text(conversation, 'subject'),
      description: isFirst ? written : null,
      standInDescription: written.text,
      status: statusAfter(kind, said),
      ...customer,
      // The conversation as it was when this happened.
      updatedAt: time(event, 'emitted_at'),
      metadata: {
        status: said,
        tags: words(conversation, 'tags'),
        url: urlOf(conversationId(event)),
        requester_name: text(at(conversation, 'recipient'), 'name'),
        requester_handle: customer.email === null ? text(at(conversation, 'recipient'), 'handle') : null,
        via: text(message, 'type'),
        assignee: text(at(conversation, 'assignee'), 'email', 'username'),
        attachments: attachmentsOf(message),
      },
    },
    comment: isFirst ? null : commentOf(type, isMessage ? message : target),
  }
  skip(conversation, 'last_message', 'created_at', 'recipient', 'assignee')
  skip(event, 'target')
  return draft
}

function isAsOldAs(conversation: Fields, message: Fields, event: Fields): boolean {
  const began = time(conversation, 'created_at')
  const times = [time(message, 'created_at'), time(event, 'emitted_at')].filter((one) => one !== null)
  const answers = text(at(message, '_links', 'related'), 'message_replied_to')
  return began !== null && answers === null && times.length > 0 && Math.max(...times) <= began + FIRST_WITHIN_MS
}

/** Front sends the text of a mail beside its HTML, without what it quotes. */
function bodyOf(message: Fields): Rich {
  const plain = text(message, 'text')
  const written = html(message, 'body', 'blurb')
  return plain === null ? written : { ...written, text: plain }
}

/** Whom the conversation is with, whoever wrote last; a phone number is a handle too. */
function customerOf(conversation: Fields): { email: string | null; userId: string | null } {
  const recipient = at(conversation, 'recipient')
  const handle = text(recipient, 'handle')
  const contact = text(at(recipient, '_links', 'related'), 'contact')
  return { email: handle?.includes('@') ? handle : null, userId: lastOf(contact) }
}

function statusAfter(kind: EventKind, said: string | null): Status | null {
  if (kind === 'solved') return 'resolved'
  if (kind === 'deleted') return 'closed'
  const status = said === null ? null : (STATUSES.get(said.toLowerCase()) ?? null)
  return kind === 'reopened' && status !== 'pending' ? 'open' : status
}

function commentOf(type: string, message: Fields): NativeComment | null {
  if (KINDS.get(type) !== 'commented') return null
  const author = at(message, 'author')
  const name = [text(author, 'first_name'), text(author, 'last_name')].filter((part) => part !== null).join(' ')
  const from = list(message, 'recipients').find((one) => text(one, 'role') === 'from')
  return {
    id: text(message, 'id'),
    body: bodyOf(message),
    public: type !== 'comment' && type !== 'forward',
    author: name || text(author, 'email', 'username') || (from === undefined ? null : text(from, 'name', 'handle')),
    authorId: text(author, 'id'),
    byStaff: type !== 'inbound',
  }
}

const urlOf = (id: string | null) => id && `https://app.frontapp.com/open/${id}`

const attachmentsOf = (message: Fields) =>
  list(message, 'attachments').map((file) => ({
    name: text(file, 'filename', 'name'),
    size: text(file, 'size'),
    url: text(file, 'url'),
  }))
