import { at, type Fields, isFilled, list, meaning, skip, text, time } from '../core/fields.ts'
import { isObject } from '../core/json.ts'
import { definePlatform, type NativeEvent } from '../core/native.ts'
import type { Incoming } from '../core/platform.ts'
import { html } from '../core/rich.ts'
import { sharedToken } from '../core/signature.ts'
import type { EventKind, Status } from '../core/ticket.ts'

const STATUSES: Readonly<Record<string, Status>> = {
  open: 'open',
  resolved: 'resolved',
  closed: 'closed',
  archived: 'closed',
  deleted: 'closed',
}

/** What a plugin calls the event: one of osTicket's own signals, or a word where the status should be. */
const KINDS: Readonly<Record<string, EventKind>> = {
  created: 'created',
  'ticket.created': 'created',
  'threadentry.created': 'commented',
  reply: 'commented',
  note: 'commented',
  closed: 'solved',
  'ticket.closed': 'solved',
  resolved: 'solved',
  reopened: 'reopened',
  'ticket.reopened': 'reopened',
  deleted: 'deleted',
  'ticket.deleted': 'deleted',
}

/** osTicket itself sends nothing; these are the bodies of plugins, in the words of its API. */
export default definePlatform({
  id: 'osticket',
  label: 'osTicket',
  kinds: ['created', 'updated', 'commented', 'solved', 'reopened', 'deleted'],
  recognises: (payload) => isPluginTicket(payload) || isNotice(payload['body']),

  schemes: { token: sharedToken() },
  priorities: { low: 'low', normal: 'medium', high: 'high', emergency: 'urgent' },
  read,
})

/** The house form says `description` or `body` where osTicket says `message`. */
const isPluginTicket = (payload: Incoming['payload']): boolean =>
  'number' in payload &&
  'message' in payload &&
  'subject' in payload &&
  !('description' in payload) &&
  !('body' in payload)

/** That something happened to a ticket, and no more (luispimenta/osticket-webhook). */
const isNotice = (body: unknown): boolean => isObject(body) && 'number' in body && 'title' in body && 'staff' in body

function read(body: Fields): NativeEvent {
  const nested = at(body, 'body')
  const ticket = isFilled(nested) ? nested : body
  const said = text(ticket, 'status')
  const event = text(ticket, 'event', 'action', 'signal') ?? said
  const kind = meaning(KINDS, event) ?? 'updated'
  const message = html(ticket, 'message')
  const name = text(ticket, 'name', 'user_name')
  const attachments = list(ticket, 'attachments').map((file) => ({
    name: text(file, 'name'),
    size: text(file, 'size'),
    type: text(file, 'type'),
  }))
  skip(ticket, 'attachments', 'platform') // the files themselves may be in it, in base64
  return {
    kind,
    ticket: {
      id: text(ticket, 'number', 'ticket_number'),
      title: text(ticket, 'subject', 'title'),
      description: kind === 'commented' ? null : message,
      category: text(ticket, 'topic', 'help_topic'),
      priority: text(ticket, 'priority'),
      status: kind === 'deleted' ? 'closed' : (meaning(STATUSES, said) ?? statusAfter(kind)),
      userId: text(ticket, 'user_id'),
      email: text(ticket, 'email', 'user_email'),
      updatedAt: time(ticket, 'updated', 'updated_at', 'lastupdate'),
      metadata: {
        status: said === event ? null : said,
        requester_name: name,
        department: text(ticket, 'department', 'dept'),
        agent: text(ticket, 'staff'),
        via: text(ticket, 'source'),
        url: text(ticket, 'url', 'link'),
        attachments,
      },
    },
    comment:
      kind === 'commented'
        ? {
            id: text(ticket, 'entry_id'),
            body: message,
            public: event?.toLowerCase() !== 'note',
            author: text(ticket, 'poster') ?? name,
          }
        : null,
  }
}

function statusAfter(kind: EventKind): Status | null {
  if (kind === 'solved') return 'closed'
  return kind === 'reopened' ? 'open' : null
}
