import {
  at,
  type Fields,
  fieldsOf,
  flag,
  has,
  isFilled,
  list,
  meaning,
  raw,
  skip,
  text,
  time,
  words,
} from '../core/fields.ts'
import { isObject } from '../core/json.ts'
import { definePlatform, ignored, type NativeComment, type NativeEvent } from '../core/native.ts'
import type { Incoming } from '../core/platform.ts'
import { html, type Rich, richHtml } from '../core/rich.ts'
import { hmac, sharedToken } from '../core/signature.ts'
import { type EventKind, isResolved, type Status } from '../core/ticket.ts'

const STATUSES: Readonly<Record<string, Status>> = {
  2: 'open',
  3: 'pending',
  4: 'resolved',
  5: 'closed',
  6: 'pending',
  7: 'pending',
  open: 'open',
  pending: 'pending',
  resolved: 'resolved',
  closed: 'closed',
  'waiting on customer': 'pending',
  'waiting on third party': 'pending',
}

const SOURCES: Readonly<Record<string, string>> = {
  1: 'email',
  2: 'portal',
  3: 'phone',
  7: 'chat',
  9: 'feedback widget',
  10: 'outbound email',
}

/** What only the API's tickets have, of either product. */
const API_KEYS = ['responder_id', 'fr_due_by', 'fr_escalated', 'description_text']
const SERVICE_KEYS = ['workspace_id', 'department_id', 'requested_for_id']

/** A contact's id in a system of the customer's own. */
const EXTERNAL_IDS = ['requester_unique_external_id', 'contact_unique_external_id']

const GONE = new Set(['deleted', 'delete', 'marked_spam', 'marked_as_spam', 'spam'])

/**
 * Automation rules (simple, or a body that an administrator has written), tickets of the API v2 that something passes
 * on, and the events of Marketplace apps. Freshservice is the same in all of them.
 */
export default definePlatform({
  id: 'freshdesk',
  label: 'Freshdesk',
  aliases: ['freshservice'],
  kinds: ['created', 'updated', 'commented', 'solved', 'reopened', 'deleted', 'ignored'],
  headers: ['x-freshworks-signature'],
  userAgent: 'Freshdesk',
  recognises: (payload) => isRule(payload) || isApiTicket(payload) || isApiTicket(payload['ticket']) || isApp(payload),

  schemes: {
    token: sharedToken(),
    // For Marketplace apps, by one article's account; the rules sign nothing.
    signature: hmac({ algorithm: 'sha256', encoding: 'hex', header: 'x-freshworks-signature' }),
  },
  // 1 is the lowest, for Freshdesk alone.
  priorities: { 1: 'low', 2: 'medium', 3: 'high', 4: 'urgent' },

  // The text is read from the HTML beside it; the links to files carry their own signature.
  noise: /^(?:attachment_url|avatar|body_text|description_text|structured_description|thumb_url)$/,
  read,
})

function isRule(payload: Incoming['payload']): boolean {
  if ('freshdesk_webhook' in payload || 'freshservice_webhook' in payload) return true
  return 'ticket_subject' in payload && !('ticket_title' in payload) && !('event' in payload)
}

const isApiTicket = (ticket: unknown): boolean =>
  isObject(ticket) && 'subject' in ticket && 'id' in ticket && API_KEYS.some((key) => key in ticket)

function isApp({ data, event }: Incoming['payload']): boolean {
  if (!isObject(data) || !('ticket' in data || 'conversation' in data)) return false
  return 'actor' in data || (typeof event === 'string' && /^on(?:Ticket|Conversation)/.test(event))
}

function read(body: Fields): NativeEvent {
  // What a Marketplace app was installed with, keys included, and who it was that did something.
  skip(body, 'iparams', 'timestamp', 'version', 'region', 'currentHost')
  skip(at(body, 'data'), 'actor')
  const event = text(body, 'event')?.toLowerCase() ?? ''
  if (event === 'onconversationdelete') return ignored('no_change')

  const hook = firstFilled(...['freshdesk_webhook', 'freshservice_webhook', 'data'].map((key) => at(body, key)), body)
  const ticket = firstFilled(at(hook, 'ticket'), hook)
  const requester = firstFilled(...[ticket, hook].flatMap((one) => [at(one, 'requester'), at(one, 'contact')]))
  const trigger = triggerOf(text(hook, 'triggered_event'))
  const status = statusOf(told(ticket, 'status'))
  const description = html(ticket, 'ticket_description', 'description', 'description_text', 'ticket_description_text')
  const requesterName =
    text(requester, 'name') ?? told(ticket, 'requester_name', 'contact_name') ?? text(hook, 'requester_name')
  const requesterId = told(ticket, 'requester_id', 'contact_id', ...EXTERNAL_IDS)
  const agent = told(ticket, 'agent_name', 'responder_name')
  const title = told(ticket, 'subject')
  const names = { agent, requester: requesterName }
  const latest = conversationOf(hook, ticket) ?? latestComment(ticket, trigger, names)
  const comment = notTheDescription(latest ?? latestComment(hook, trigger, names), description)
  const key = told(ticket, 'id', 'display_id') ?? text(at(hook, 'conversation'), 'ticket_id')
  const url = told(ticket, 'url', 'portal_url', 'link')
  const domain = text(body, 'domain')
  const isService =
    has(body, 'freshservice_webhook') ||
    isServiceId(key) ||
    SERVICE_KEYS.some((one) => has(ticket, one)) ||
    [url, domain].some((one) => one?.includes('.freshservice.com'))
  const kind = kindOf({ event, trigger, status, comment, title, ticket })
  const source = told(ticket, 'source')
  return {
    kind,
    ticket: {
      // Not every shape says which site it is of. The two products, though, count their tickets apart.
      account: isService ? 'freshservice' : null,
      id: isServiceId(key) ? key.slice(key.indexOf('-') + 1) : key,
      key,
      title,
      description,
      category: told(ticket, 'type', 'category'),
      priority: told(ticket, 'priority'),
      status: kind === 'deleted' ? 'closed' : status,
      userId: requesterId ?? text(requester, 'id'),
      email:
        text(requester, 'email') ??
        told(ticket, 'requester_email', 'contact_email', 'email') ??
        text(hook, 'requester_email', 'contact_email'),
      updatedAt: time(ticket, 'ticket_updated_at', 'updated_at'),
      metadata: {
        product: isService ? 'freshservice' : 'freshdesk',
        status: told(ticket, 'status'),
        tags: ['ticket_tags', 'tags'].flatMap((one) => words(ticket, one)),
        url,
        domain,
        via: isService || source === null ? source : (meaning(SOURCES, source) ?? source),
        requester_name: requesterName,
        agent,
        group: told(ticket, 'group_name'),
        company: told(ticket, 'company_name'),
        custom_fields: customFields(ticket),
        attachments: attachmentsOf(ticket),
      },
    },
    comment,
  }
}

/** An automation rule says `ticket_subject` what the API calls `subject`. */
const told = (ticket: Fields, ...keys: string[]) => text(ticket, ...keys.flatMap((key) => [`ticket_${key}`, key]))

const firstFilled = (...candidates: Fields[]): Fields => candidates.find(isFilled) ?? fieldsOf(null)

/** A Freshservice incident or service request as people call it: both are counted together. */
const isServiceId = (id: string | null): id is string => id !== null && /^(?:INC|SR)-\d+$/i.test(id)

const statusOf = (status: string | null): Status | null => meaning(STATUSES, status)

/** `{ticket_action:created}` or `{status:{from:4,to:6}}`: it looks like JSON, but nothing in it is quoted. */
const triggerOf = (said: string | null): string[] =>
  (said ?? '')
    .slice(0, 500)
    .toLowerCase()
    .split(/[{}:,]/)
    .map((word) => word.trim())
    .filter((word) => word !== '')

type Said = {
  event: string
  trigger: readonly string[]
  status: Status | null
  comment: NativeComment | null
  title: string | null
  ticket: Fields
}

function kindOf({ event, trigger, status, comment, title, ticket }: Said): EventKind {
  const [what = '', value = ''] = trigger
  const isGone = flag(ticket, 'deleted') === true || flag(ticket, 'spam') === true || event === 'onticketdelete'
  if (isGone || (what === 'ticket_action' && GONE.has(value))) return 'deleted'
  if (event === 'onticketcreate' || (what === 'ticket_action' && value === 'created')) return 'created'
  const isDone = isResolved(status)
  // "Send and set as resolved" is told as the reply that it also is.
  if (what === 'reply_sent' && isDone) return 'solved'
  const isAboutComment = event.startsWith('onconversation') || /^(?:note_type|\w{0,20}repl)/.test(what)
  if (comment !== null && (isAboutComment || title === null)) return 'commented'
  const wasDone = isResolved(previousStatus(ticket, trigger))
  if (!isDone) return wasDone ? 'reopened' : 'updated'
  return what === '' || what === 'status' ? 'solved' : 'updated'
}

function previousStatus(ticket: Fields, trigger: readonly string[]): Status | null {
  if (trigger[0] === 'status') return statusOf(trigger[1] === 'from' ? (trigger[2] ?? null) : null)
  const changes = at(ticket, 'changes')
  const change = raw(changes, 'status') ?? raw(at(changes, 'model_changes'), 'status')
  skip(ticket, 'changes')
  const [from]: unknown[] = Array.isArray(change) ? change : []
  return typeof from === 'string' || typeof from === 'number' ? statusOf(String(from)) : null
}

/** What was said, where the ticket comes with its conversations or a conversation comes alone. */
function conversationOf(hook: Fields, ticket: Fields): NativeComment | null {
  const said = firstFilled(at(hook, 'conversation'), at(hook, 'reply'), ...list(ticket, 'conversations').slice(-1))
  skip(ticket, 'conversations') // the others were news before
  if (!isFilled(said)) return null
  const [isPrivate, isIncoming] = [flag(said, 'private'), flag(said, 'incoming')]
  return {
    id: text(said, 'id'),
    body: html(said, 'body', 'body_text'),
    public: isPrivate === null ? null : !isPrivate,
    author: text(said, 'from_email'),
    authorId: text(said, 'user_id'),
    byStaff: isIncoming === null ? null : !isIncoming,
  }
}

const PUBLIC = ['latest_public_comment', 'latest_comment']
const PRIVATE = ['latest_private_comment', 'latest_private_note']

/** The comment in an automation rule's body: "Rui Li : <div>…</div>". A private one is never taken for another. */
function latestComment(
  hook: Fields,
  trigger: readonly string[],
  names: { agent: string | null; requester: string | null },
): NativeComment | null {
  const isNote = trigger[0] === 'note_type' && trigger[1] === 'private'
  const shown = isNote ? null : told(hook, ...PUBLIC)
  const said = shown ?? told(hook, ...PRIVATE)
  // The other one was news before.
  skip(hook, ...[...PUBLIC, ...PRIVATE].flatMap((key) => [`ticket_${key}`, key]))
  if (said === null) return null
  const colon = said.indexOf(' : ')
  const name = colon > 0 && colon < 80 ? said.slice(0, colon) : '<'
  const author = /[<\n]/.test(name) ? null : name
  const isStaff = (author !== null && author === names.agent) || trigger[0] === 'reply_sent' || shown === null
  return {
    body: richHtml(author === null ? said : said.slice(colon + 3)),
    public: shown !== null,
    author,
    byStaff: isStaff || (author !== null && author === names.requester ? false : null),
  }
}

/** Of a new ticket, the latest comment is what the ticket itself says. */
function notTheDescription(comment: NativeComment | null, description: Rich): NativeComment | null {
  const body = comment?.body
  const said = typeof body === 'object' ? (body?.text ?? null) : (body ?? null)
  return said === null || said === description.text ? null : comment
}

function customFields(ticket: Fields): Record<string, string | null> {
  const api = at(ticket, 'custom_fields')
  const rule = Object.keys(ticket.value).filter((key) => key.startsWith('ticket_cf_'))
  const said = [
    ...rule.map((key) => [key.slice('ticket_'.length), text(ticket, key)] as const),
    ...Object.keys(api.value).map((key) => [key, text(api, key)] as const),
  ]
  return Object.fromEntries(said.filter(([, value]) => value !== null))
}

const attachmentsOf = (ticket: Fields) =>
  list(ticket, 'attachments').map((file) => ({
    name: text(file, 'name'),
    size: text(file, 'size'),
    type: text(file, 'content_type'),
  }))
