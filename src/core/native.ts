import { fail } from './errors.ts'
import { type Fields, fieldsOf, isEmpty, rest } from './fields.ts'
import { type IgnoreReason, type Incoming, nameOf, type Platform, type PlatformEvent } from './platform.ts'
import { type Priority, priorityFrom, type PriorityScale } from './priority.ts'
import type { Rich } from './rich.ts'
import { cleanText, clip, isEmail, NAME_LIMIT, TITLE_LIMIT } from './text.ts'
import type { Comment, EventKind, Status, TicketDraft } from './ticket.ts'

const ID_LIMIT = 1000
/** How much of a message is its title, where the sender has none. */
const TITLE_FROM_TEXT = 120

/** What a sender's event says of a ticket, in the sender's words. Null or left out is "not said". */
export type NativeTicket = {
  /** The sender's tenant: the same number exists in each. */
  account?: string | null
  /** What identifies it at the sender for good. */
  id: string | null
  /** What people call it there, when that is another: `SUP-512`. */
  key?: string | null
  title?: string | null
  description?: Rich | string | null
  category?: string | null
  /** The sender's word, read by the platform's scale; or what it means, where that takes more than a word. */
  priority?: string | null | { is: Priority | null; said: string | null }
  status?: Status | null
  userId?: string | null
  email?: string | null
  updatedAt?: number | null
  /** What else is worth showing; null and empty values are left out. */
  metadata?: Record<string, unknown>
  /**
   * Stands in for a description that this kind of event does not have, such as the message of a chat that began
   * before; the title does, unless given. A title that nobody said is then made of it.
   */
  standInDescription?: string | null
}

export type NativeComment = {
  id?: string | null
  body: Rich | string | null
  public?: boolean | null
  author?: string | null
  authorId?: string | null
  byStaff?: boolean | null
}

export type NativeEvent =
  | {
      kind: EventKind
      ticket: NativeTicket
      comment?: NativeComment | null
      /** For mail: the external ids of the messages it answers, oldest first. */
      replyTo?: readonly string[]
    }
  | { kind: 'ignored'; reason: IgnoreReason }
  | { kind: 'handshake'; answer: unknown }

export const ignored = (reason: IgnoreReason): NativeEvent => ({ kind: 'ignored', reason })

type NativePlatform = Omit<Platform, 'read'> & {
  /** Reads one event. What it does not read of the body is kept as unmapped. */
  read: (body: Fields, incoming: Incoming) => NativeEvent
  /** Keys that say nothing of a ticket wherever they stand, such as links to an API. */
  noise?: RegExp
}

/** A platform with a format of its own: ties its reading of a payload to what a ticket is here. */
export function definePlatform({ read, noise, ...platform }: NativePlatform): Platform {
  return {
    ...platform,
    read: (incoming) => {
      const body = fieldsOf(incoming.payload)
      const event = read(body, incoming)
      return 'ticket' in event ? eventOf(platform, event, withoutNoise(rest(body), noise)) : event
    },
  }
}

function eventOf(
  platform: Omit<Platform, 'read'>,
  { kind, ticket, comment, replyTo }: Extract<NativeEvent, { ticket: NativeTicket }>,
  unmapped: unknown,
): PlatformEvent {
  const name = nameOf(platform)
  const id = ticket.id
  if (id !== null && id.length > ID_LIMIT) fail('malformed', `The ticket's id is longer than ${ID_LIMIT} characters`)
  if (isUnrendered(ticket.title ?? null) || isUnrendered(id)) return { kind: 'ignored', reason: 'unrendered_template' }

  const description = richOf(ticket.description)
  const wholeTitle = ticket.title ?? (kind === 'commented' ? null : titleFrom(description.text))
  if (wholeTitle === null && id === null) {
    fail('malformed', `This is no ${platform.label} payload that can be read: it has neither a ticket's id nor a title`)
  }
  const title = wholeTitle === null ? null : clip(wholeTitle, TITLE_LIMIT)
  const said = comment ? commentOf(comment) : null
  const named = titleFrom(ticket.standInDescription ?? null) ?? `${platform.label} ticket ${id}`
  const priority = prioritySaid(ticket.priority, platform.priorities)
  const hasEmail = ticket.email != null && isEmail(ticket.email)
  const draft: TicketDraft = {
    platform: name,
    account: ticket.account ?? '',
    externalId: id,
    title,
    description: description.text,
    category: ticket.category ? clip(ticket.category.toLowerCase(), NAME_LIMIT) : null,
    priority: priority.is,
    // Most senders have no "new": what they have just made is "open" at once.
    status: kind === 'created' && ticket.status === 'open' ? 'new' : (ticket.status ?? null),
    userId: ticket.userId ? clip(ticket.userId, NAME_LIMIT) : null,
    userEmail: hasEmail ? (ticket.email ?? null) : null,
    sentUpdatedAt: ticket.updatedAt ?? null,
    metadata: {
      platform: name,
      ...filled({
        external_id: ticket.key ?? id,
        ...ticket.metadata,
        original_priority: priority.said?.toLowerCase() === priority.is ? null : priority.said,
        priority_unmapped: priority.said !== null && priority.is === null ? true : null,
        original_description: description.original,
        original_email: hasEmail ? null : ticket.email,
        full_title: title === wholeTitle ? null : wholeTitle,
        unmapped,
      }),
    },
    event: {
      kind,
      // A mail that may answer another is a comment there, and a ticket of its own where that is not known.
      comment: replyTo?.length ? null : said,
      standIn: { title: named, description: ticket.standInDescription ?? title ?? named },
      reply: replyTo?.length && said ? { to: replyTo, comment: said } : null,
    },
  }
  return { kind, draft }
}

const richOf = (said: Rich | string | null | undefined): Rich =>
  typeof said === 'object' && said !== null ? said : { text: said ? cleanText(said) || null : null }

function commentOf(comment: NativeComment): Comment | null {
  const { text } = richOf(comment.body)
  if (text === null) return null
  return {
    id: comment.id ?? null,
    body: text,
    public: comment.public ?? true,
    author: comment.author ?? null,
    author_id: comment.authorId ?? null,
    by_staff: comment.byStaff ?? null,
  }
}

/** How forms show that nothing was chosen. */
const UNCHOSEN = new Set(['-', '--', 'none', '-none-', '--none--', 'not set', 'null', 'undefined'])

function prioritySaid(said: NativeTicket['priority'], scale: PriorityScale | undefined) {
  if (typeof said === 'object' && said !== null) return said
  const word = said ?? null
  return word === null || UNCHOSEN.has(word.toLowerCase())
    ? { is: null, said: null }
    : { is: priorityFrom(word, scale), said: word }
}

function titleFrom(text: string | null): string | null {
  const line = text
    ?.split('\n')
    .find((one) => one.trim() !== '')
    ?.trim()
  if (line === undefined) return null
  return line.length <= TITLE_FROM_TEXT ? line : `${clip(line, TITLE_FROM_TEXT - 1)}…`
}

/** Whether a template was sent before anything was filled in, as the test buttons of some senders do. */
export const isUnrendered = (text: string | null): boolean => text !== null && /^\{\{[^{}]*\}\}$/.test(text)

function filled(metadata: Record<string, unknown>): Record<string, unknown> {
  const kept: Record<string, unknown> = {}
  for (const key in metadata) if (!isEmpty(metadata[key])) kept[key] = metadata[key]
  return kept
}

/** Without these keys, at whatever depth, and without what is then empty. */
function withoutNoise(value: unknown, noise: RegExp | undefined): unknown {
  if (noise === undefined || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item) => withoutNoise(item, noise)).filter((item) => !isEmpty(item))
  const entries = Object.entries(value)
    .filter(([key]) => !noise.test(key))
    .map(([key, child]) => [key, withoutNoise(child, noise)] as const)
  return Object.fromEntries(entries.filter(([, child]) => !isEmpty(child)))
}
