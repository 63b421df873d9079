import { at, type Fields, flag, isFilled, list, meaning, skip, text, time } from '../core/fields.ts'
import { isObject } from '../core/json.ts'
import { definePlatform, ignored, type NativeEvent } from '../core/native.ts'
import { html, type Rich, richHtml } from '../core/rich.ts'
import { sharedToken } from '../core/signature.ts'
import { type EventKind, isResolved, type Status } from '../core/ticket.ts'

const STATUSES: Readonly<Record<string, Status>> = {
  new: 'new',
  open: 'open',
  escalated: 'open',
  'on hold': 'pending',
  resolved: 'resolved',
  closed: 'closed',
}

/** A list of events, each with the organisation that it is of. Zoho wants exactly 200, and takes 410 as a farewell. */
export default definePlatform({
  id: 'zoho_desk',
  label: 'Zoho Desk',
  aliases: ['zoho'],
  kinds: ['created', 'updated', 'commented', 'solved', 'reopened', 'deleted', 'ignored'],
  headers: ['x-zdesk-jwt'],
  userAgent: 'ZohoDesk',
  recognises: (event) => {
    const { eventType } = event
    return typeof eventType === 'string' && /^[A-Z][A-Za-z]{1,40}_/.test(eventType) && 'payload' in event
  },

  // The JWT that comes along is signed with a key that only a request to Zoho could fetch.
  schemes: { token: sharedToken() },
  // There is nothing above high, and none is made up.
  priorities: { high: 'high', medium: 'medium', low: 'low' },

  events: eventsIn,
  noise: /^(?:href|isRead|layoutDetails|layoutId|photoURL|sourceId|statusType|ignoreSourceId|zuid)$/,
  read,
})

/** An empty list is one question: is somebody there? */
function eventsIn(body: unknown): unknown[] | null {
  if (!Array.isArray(body)) return null
  return body.length === 0 ? [{}] : body
}

function read(body: Fields): NativeEvent {
  const type = text(body, 'eventType')
  // How Zoho sees whether somebody is there.
  if (type === null && !isObject(body.value['payload'])) return ignored('ping')
  if (type === null || !type.startsWith('Ticket_')) return ignored('not_a_ticket')
  const account = text(body, 'orgId')
  const eventTime = time(body, 'eventTime')
  const payload = at(body, 'payload')
  if (!isFilled(payload)) return ignored('no_change')
  if (/^Ticket_(?:Approval|Attachment)_/.test(type)) return ignored('no_change')
  if (/^Ticket_(?:Comment|Thread)_/.test(type)) return readComment(payload, account)
  return readTicket(body, { account, type, eventTime })
}

function readTicket(
  body: Fields,
  { account, type, eventTime }: { account: string | null; type: string; eventTime: number | null },
): NativeEvent {
  const ticket = at(body, 'payload')
  const before = at(body, 'prevState')
  const contact = at(ticket, 'contact')
  const thread = at(ticket, 'firstThread')
  const kind = kindOf(type, statusOf(before), statusOf(ticket))
  const said = html(ticket, 'description')
  const opening = contentOf(thread)
  const attachments = list(thread, 'attachments').map((file) => ({
    name: text(file, 'name'),
    size: text(file, 'size'),
  }))
  skip(body, 'prevState')
  return {
    kind,
    ticket: {
      account,
      id: text(ticket, 'id'),
      title: text(ticket, 'subject'),
      description: said.text === null ? opening : said,
      category: text(ticket, 'category', 'classification'),
      priority: text(ticket, 'priority'),
      status: kind === 'deleted' ? 'closed' : statusOf(ticket),
      userId: text(ticket, 'contactId') ?? text(contact, 'id'),
      email: text(ticket, 'email') ?? text(contact, 'email'),
      updatedAt: time(ticket, 'modifiedTime') ?? (kind === 'created' ? time(ticket, 'createdTime') : null) ?? eventTime,
      metadata: {
        number: text(ticket, 'ticketNumber'),
        status: text(ticket, 'status'),
        sub_category: text(ticket, 'subCategory'),
        channel: text(ticket, 'channel'),
        url: text(ticket, 'webUrl'),
        requester_name: nameOf(contact),
        agent: nameOf(at(ticket, 'assignee')),
        department: text(at(ticket, 'department'), 'name'),
        attachments,
      },
    },
  }
}

function kindOf(type: string, before: Status | null, now: Status | null): EventKind {
  if (type === 'Ticket_Add' || type === 'Ticket_Create') return 'created'
  if (type === 'Ticket_Delete') return 'deleted'
  const [wasDone, isDone] = [isResolved(before), isResolved(now)]
  if (isDone) return wasDone ? 'updated' : 'solved'
  return wasDone && now !== null ? 'reopened' : 'updated'
}

/** A comment is between agents unless it is public; a thread is what went to the customer or came from there. */
function readComment(said: Fields, account: string | null): NativeEvent {
  if (text(said, 'status')?.toUpperCase() === 'DRAFT') return ignored('no_change')
  const ticket = at(said, 'ticket')
  const author = isFilled(at(said, 'commenter')) ? at(said, 'commenter') : at(said, 'author')
  const direction = text(said, 'direction')?.toLowerCase()
  const writer = text(author, 'type')?.toUpperCase()
  const isThread = direction !== undefined
  const content = contentOf(said)
  // The mail that made the ticket is told as a thread of its own, too.
  const isOpening = flag(said, 'isDescriptionThread') === true
  return {
    kind: 'commented',
    ticket: {
      account,
      id: text(said, 'ticketId') ?? text(ticket, 'id'),
      title: text(ticket, 'subject'),
      description: isOpening ? content : null,
      email: writer === 'END_USER' ? text(author, 'email') : null,
      metadata: { number: text(ticket, 'ticketNumber'), channel: isThread ? text(said, 'channel') : null },
    },
    comment: isOpening
      ? null
      : {
          id: text(said, 'id'),
          body: content,
          public: flag(said, 'isPublic') ?? (isThread && text(said, 'visibility') !== 'private'),
          author: text(author, 'name') ?? nameOf(author),
          authorId: text(author, 'id') ?? text(said, 'commenterId'),
          byStaff: isThread ? direction === 'out' : writer === undefined ? null : writer === 'AGENT',
        },
  }
}

/** Zoho tells how a text is written; one in plain text may well speak of `<b>`. */
function contentOf(said: Fields): Rich {
  const content = text(said, 'content')
  if (content === null) return { text: text(said, 'plainText', 'summary') }
  return text(said, 'contentType')?.toLowerCase().endsWith('plaintext') ? { text: content } : richHtml(content)
}

/** Its own word where we know that, else what kind of status Zoho counts it as. */
const statusOf = (ticket: Fields): Status | null =>
  meaning(STATUSES, text(ticket, 'status')) ?? meaning(STATUSES, text(ticket, 'statusType'))

const nameOf = (person: Fields): string | null =>
  [text(person, 'firstName'), text(person, 'lastName')].filter((name) => name !== null).join(' ') || null
