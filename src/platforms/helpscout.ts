import { at, type Fields, isFilled, list, skip, text, time, words } from '../core/fields.ts'
import { definePlatform, ignored, type NativeComment, type NativeEvent } from '../core/native.ts'
import { html } from '../core/rich.ts'
import { headerText, hmac, sharedToken } from '../core/signature.ts'
import type { EventKind, Status } from '../core/ticket.ts'

const EVENT = 'x-helpscout-event'

const KINDS = new Map(
  Object.entries<EventKind>({
    'convo.created': 'created',
    'convo.deleted': 'deleted',
    'convo.customer.reply.created': 'commented',
    'convo.agent.reply.created': 'commented',
    'convo.note.created': 'commented',
  }),
)

/** The type of the thread that an event tells of. */
const THREADS = new Map(
  Object.entries<string>({
    'convo.customer.reply.created': 'customer',
    'convo.agent.reply.created': 'message',
    'convo.note.created': 'note',
  }),
)

const STATUSES = new Map(
  Object.entries<Status>({
    active: 'open',
    open: 'open',
    pending: 'pending',
    closed: 'closed',
    spam: 'closed',
    deleted: 'closed',
  }),
)

/** Conversations. What happened stands in a header alone. */
export default definePlatform({
  id: 'helpscout',
  label: 'Help Scout',
  kinds: ['created', 'updated', 'commented', 'solved', 'deleted', 'ignored'],
  headers: [EVENT, 'x-helpscout-signature'],
  userAgent: 'Help Scout',
  recognises: (payload) => 'mailboxId' in payload && 'number' in payload && 'primaryCustomer' in payload,

  schemes: {
    signature: hmac({ algorithm: 'sha1', encoding: 'base64', header: 'x-helpscout-signature' }),
    token: sharedToken(),
  },

  noise: /^(?:_links|photoUrl|folderId|isDraft)$/,

  read: (body, { headers }) => {
    const event = headerText(headers, EVENT)?.trim().toLowerCase() ?? null
    if (event !== null && !event.startsWith('convo.')) return ignored('not_a_ticket')
    return readConversation(body, event)
  },
})

function readConversation(body: Fields, event: string | null): NativeEvent {
  const threads = threadsOf(body)
  const newest = newestOf(threads, event)
  const first = isWhole(body, threads, event) ? threads.findLast(isMessage) : undefined
  const customer = customerOf(body)
  const said = text(body, 'status')
  const status = event === 'convo.deleted' ? 'closed' : statusOf(said)
  const draft: NativeEvent = {
    kind: KINDS.get(event ?? '') ?? (status === 'closed' ? 'solved' : 'updated'),
    ticket: {
      id: text(body, 'id'),
      title: text(body, 'subject'),
      description: first ? html(first, 'body', 'text') : event === 'convo.created' ? html(body, 'preview') : null,
      standInDescription: (newest && html(newest, 'body', 'text').text) ?? html(body, 'preview').text,
      status,
      userId: text(customer, 'id'),
      email: text(customer, 'email'),
      // The newest thread is as old as the conversation that holds it, where that has no time of its own.
      updatedAt: time(body, 'userUpdatedAt', 'modifiedAt', 'updatedAt') ?? (newest ? time(newest, 'createdAt') : null),
      metadata: {
        number: text(body, 'number'),
        status: said,
        state: text(body, 'state'),
        tags: tagsOf(body),
        url: text(at(body, '_links', 'web'), 'href') ?? urlOf(body),
        requester_name: nameOf(customer),
        via: text(at(body, 'source'), 'type') ?? text(body, 'type'),
        mailbox: text(at(body, 'mailbox'), 'name') ?? text(body, 'mailboxId'),
        assignee: nameOf(at(body, 'assignee')) ?? nameOf(at(body, 'owner')),
        attachments: newest && attachmentsOf(newest),
      },
    },
    comment: newest && event !== null && THREADS.has(event) ? commentOf(newest, event) : null,
  }
  skip(body, '_embedded', 'threads', 'threadCount', 'preview', 'type', 'createdAt', 'createdBy')
  skip(body, 'primaryCustomer', 'customer', 'assignee', 'owner', 'source', 'mailbox', 'tags')
  return draft
}

/** Newest first. */
function threadsOf(body: Fields): Fields[] {
  const embedded = list(at(body, '_embedded'), 'threads')
  const threads = embedded.length > 0 ? embedded : list(body, 'threads')
  return threads.toSorted((a, b) => (time(b, 'createdAt') ?? 0) - (time(a, 'createdAt') ?? 0) || idOf(b) - idOf(a))
}

const idOf = (thread: Fields): number => Number(text(thread, 'id')) || 0

function newestOf(threads: Fields[], event: string | null): Fields | undefined {
  const type = THREADS.get(event ?? '')
  return threads.find((thread) => text(thread, 'type') === type && isSpoken(thread)) ?? threads.find(isSpoken)
}

const isSpoken = (thread: Fields) => text(thread, 'body', 'text') !== null
const isMessage = (thread: Fields) => isSpoken(thread) && text(thread, 'type') !== 'note'

/** Whether the first message is among the threads: a reply may come with no more than itself. */
function isWhole(body: Fields, threads: Fields[], event: string | null): boolean {
  if (event === 'convo.created') return true
  const count = Number(text(body, 'threadCount', 'threads') ?? 0)
  return threads.length > 1 && threads.filter(isSpoken).length >= count
}

function customerOf(body: Fields): Fields {
  const primary = at(body, 'primaryCustomer')
  if (isFilled(primary)) return primary
  return at(body, 'customer')
}

function commentOf(thread: Fields, event: string): NativeComment {
  const author = ['createdBy', 'author', 'customer'].map((key) => at(thread, key)).find(isFilled)
  return {
    id: text(thread, 'id'),
    body: html(thread, 'body', 'text'),
    public: event !== 'convo.note.created',
    author: author ? nameOf(author) : null,
    authorId: author ? text(author, 'id') : null,
    byStaff: event !== 'convo.customer.reply.created',
  }
}

function nameOf(person: Fields): string | null {
  const names = [text(person, 'first', 'firstName'), text(person, 'last', 'lastName')]
  return names.filter((name) => name !== null).join(' ') || text(person, 'name', 'email')
}

/** A tag is a word, or since the second version of the API an object whose word is `tag`. */
function tagsOf(body: Fields): string[] {
  const objects = list(body, 'tags').flatMap((tag) => text(tag, 'tag', 'name') ?? [])
  return objects.length > 0 ? objects : words(body, 'tags')
}

const attachmentsOf = (thread: Fields) =>
  [...list(at(thread, '_embedded'), 'attachments'), ...list(thread, 'attachments')].map((file) => ({
    name: text(file, 'filename', 'fileName'),
    size: text(file, 'size'),
    url: text(file, 'url') ?? text(at(file, '_links', 'web'), 'href'),
  }))

function urlOf(body: Fields): string | null {
  const [id, number] = [text(body, 'id'), text(body, 'number')]
  return id === null || number === null ? null : `https://secure.helpscout.net/conversation/${id}/${number}/`
}

const statusOf = (said: string | null): Status | null =>
  said === null ? null : (STATUSES.get(said.toLowerCase()) ?? null)
