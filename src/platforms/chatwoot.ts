import { at, type Fields, flag, list, skip, text, time, words } from '../core/fields.ts'
import { isObject } from '../core/json.ts'
import { definePlatform, ignored, type NativeComment, type NativeEvent, type NativeTicket } from '../core/native.ts'
import { html, type Rich } from '../core/rich.ts'
import { headerText, hmac, sharedToken, timed } from '../core/signature.ts'
import type { EventKind, Status } from '../core/ticket.ts'

const SENT_AT = 'x-chatwoot-timestamp'

/** In words, or by number as older versions have it. */
const STATUSES = new Map(
  Object.entries<Status>({
    open: 'open',
    '0': 'open',
    resolved: 'resolved',
    '1': 'resolved',
    pending: 'pending',
    '2': 'pending',
    snoozed: 'pending',
    '3': 'pending',
  }),
)

const MESSAGE_TYPES = new Map(
  Object.entries<string>({
    '0': 'incoming',
    '1': 'outgoing',
    '2': 'activity',
    '3': 'template',
  }),
)

const EVENTS = /^(?:conversation|message|contact|inbox|webwidget)_[a-z_]{1,40}$/
const NO_CHANGE = /^conversation_typing_o(?:n|ff)$/

/** How much later than the conversation its first message may be. A person who writes again takes longer. */
const FIRST_WITHIN_MS = 1500

/** Conversations, and messages with the conversation that they are in. It has no subject, unless it came by mail. */
export default definePlatform({
  id: 'chatwoot',
  label: 'Chatwoot',
  kinds: ['created', 'updated', 'commented', 'solved', 'reopened', 'ignored'],
  headers: ['x-chatwoot-signature', 'x-chatwoot-delivery', SENT_AT],
  userAgent: 'Chatwoot',
  recognises: (payload) =>
    typeof payload['event'] === 'string' &&
    EVENTS.test(payload['event']) &&
    ['account', 'inbox_id', 'conversation', 'contact_inbox', 'contact'].some((key) => key in payload),

  schemes: {
    signature: hmac({
      algorithm: 'sha256',
      encoding: 'hex',
      header: 'x-chatwoot-signature',
      prefix: 'sha256=',
      ...timed(SENT_AT, (sentAt, { body }) => [`${sentAt}.`, body]),
    }),
    token: sharedToken(),
  },

  deliveryId: ({ headers }) => headerText(headers, 'x-chatwoot-delivery'),

  noise:
    /^(?:thumbnail|avatar|avatar_url|pubsub_token|contact_inbox|hmac_verified|can_reply|.*_last_seen_at|unread_count)$/,

  read: (body) => {
    const event = text(body, 'event') ?? ''
    if (NO_CHANGE.test(event)) return ignored('no_change')
    if (event.startsWith('conversation_')) return readConversation(body, event)
    return event.startsWith('message_') ? readMessage(body) : ignored('not_a_ticket')
  },
})

function readConversation(body: Fields, event: string): NativeEvent {
  const spoken = list(body, 'messages').find(isSpoken)
  const said = spoken ? contentOf(spoken) : { text: null }
  const isNew = event === 'conversation_created'
  const status = statusOf(text(body, 'status'))
  const kind = isNew ? 'created' : kindAfter(event, status, statusBefore(body))
  const ticket = ticketOf(body, accountOf(body) ?? accountOf(spoken))
  skip(body, 'messages', 'account', 'meta', 'created_at', 'timestamp', 'last_activity_at')
  return {
    kind,
    ticket: {
      ...ticket,
      status: kind === 'solved' ? 'resolved' : kind === 'reopened' ? 'open' : status,
      // Later events come with the last message that there is.
      description: isNew ? said : null,
      standInDescription: said.text,
      metadata: { ...ticket.metadata, attachments: spoken && attachmentsOf(spoken) },
    },
  }
}

function kindAfter(event: string, status: Status | null, before: Status | null): EventKind {
  if (event === 'conversation_resolved') return 'solved'
  if (event === 'conversation_opened') return 'reopened'
  if (event !== 'conversation_status_changed') return 'updated'
  if (status === 'resolved') return 'solved'
  return before === 'resolved' ? 'reopened' : 'updated'
}

function statusBefore(body: Fields): Status | null {
  const changed = list(body, 'changed_attributes').find(({ value }) => isObject(value['status']))
  return changed === undefined ? null : statusOf(text(at(changed, 'status'), 'previous_value'))
}

/** The first message of a conversation is told twice: by the conversation that begins with it, and by itself. */
function readMessage(body: Fields): NativeEvent {
  const type = typeOf(body)
  const attributes = at(body, 'content_attributes')
  if (type === 'activity' || flag(attributes, 'deleted')) return ignored('no_change')
  if (type === 'template') return ignored('own_event')
  const conversation = at(body, 'conversation')
  const sender = at(body, 'sender')
  const isFirst = type === 'incoming' && flag(body, 'private') !== true && isAsOldAs(conversation, body)
  const said = contentOf(body)
  const inConversation = list(conversation, 'messages')[0]
  const ticket = ticketOf(conversation, accountOf(body) ?? accountOf(conversation) ?? accountOf(inConversation))
  const isCustomer = type === 'incoming'
  const inbox = at(body, 'inbox')
  const draft: NativeEvent = {
    kind: isFirst ? 'created' : 'commented',
    ticket: {
      ...ticket,
      userId: ticket.userId ?? (isCustomer ? text(sender, 'id') : null),
      email: ticket.email ?? (isCustomer ? text(sender, 'email') : null),
      description: isFirst ? said : null,
      standInDescription: said.text,
      metadata: {
        ...ticket.metadata,
        requester_name: ticket.metadata?.['requester_name'] ?? (isCustomer ? text(sender, 'name') : null),
        inbox: text(inbox, 'name'),
        attachments: attachmentsOf(body),
      },
    },
    comment: isFirst ? null : commentOf(body, sender, type),
  }
  skip(body, 'id', 'content', 'processed_message_content', 'created_at', 'sender', 'source_id', 'content_type')
  skip(body, 'account', 'inbox')
  skip(conversation, 'messages', 'meta', 'created_at', 'timestamp', 'last_activity_at')
  skip(attributes, 'email')
  return draft
}

function commentOf(message: Fields, sender: Fields, type: string | null): NativeComment {
  return {
    id: text(message, 'id'),
    body: contentOf(message),
    public: flag(message, 'private') !== true,
    author: text(sender, 'name'),
    authorId: text(sender, 'id'),
    byStaff: type === null ? null : type === 'outgoing',
  }
}

/** What the conversation says of itself, the same in each event. */
function ticketOf(conversation: Fields, account: string | null): NativeTicket {
  const sender = at(conversation, 'meta', 'sender')
  const assignee = at(conversation, 'meta', 'assignee')
  const said = text(conversation, 'status')
  const more = at(conversation, 'additional_attributes')
  return {
    account,
    id: text(conversation, 'id', 'display_id'),
    title: text(more, 'mail_subject'),
    priority: text(conversation, 'priority'),
    status: statusOf(said),
    userId: text(sender, 'id') ?? text(at(conversation, 'contact_inbox'), 'contact_id'),
    email: text(sender, 'email'),
    updatedAt: time(conversation, 'updated_at'),
    metadata: {
      account_id: account,
      status: said,
      tags: words(conversation, 'labels'),
      via: text(conversation, 'channel'),
      inbox_id: text(conversation, 'inbox_id'),
      requester_name: text(sender, 'name'),
      requester_phone: text(sender, 'phone_number'),
      assignee: text(assignee, 'name'),
      team: text(at(conversation, 'meta', 'team'), 'name'),
      page: text(more, 'referer'),
    },
  }
}

/** Not every event names the account, but each message in it does. */
const accountOf = (fields: Fields | undefined): string | null =>
  fields === undefined ? null : (text(at(fields, 'account'), 'id') ?? text(fields, 'account_id'))

function typeOf(message: Fields): string | null {
  const said = text(message, 'message_type')
  return said === null ? null : (MESSAGE_TYPES.get(said) ?? said.toLowerCase())
}

const isSpoken = (message: Fields) =>
  ['incoming', 'outgoing', null].includes(typeOf(message)) && flag(message, 'private') !== true

/** Mail comes as HTML; a chat may have nothing but a picture. */
function contentOf(message: Fields): Rich {
  const written = html(message, 'content')
  if (written.text !== null) return written
  const names = attachmentsOf(message).map(({ name, type }) => `[${name ?? type ?? 'attachment'}]`)
  return { text: names.join(' ') || null }
}

const attachmentsOf = (message: Fields) =>
  list(message, 'attachments').map((file) => ({
    name: text(file, 'file_name', 'fallback_title'),
    type: text(file, 'file_type'),
    size: text(file, 'file_size'),
    url: text(file, 'data_url'),
  }))

function isAsOldAs(conversation: Fields, message: Fields): boolean {
  const [began, sent] = [time(conversation, 'created_at'), time(message, 'created_at')]
  return began !== null && sent !== null && Math.abs(sent - began) <= FIRST_WITHIN_MS
}

const statusOf = (said: string | null): Status | null =>
  said === null ? null : (STATUSES.get(said.toLowerCase()) ?? null)
