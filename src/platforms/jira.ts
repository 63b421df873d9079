import { at, type Fields, flag, has, list, skip, text, time, words } from '../core/fields.ts'
import { isObject } from '../core/json.ts'
import { definePlatform, ignored, type NativeComment, type NativeEvent, type NativeTicket } from '../core/native.ts'
import { priorityFrom, priorityFromLabels, type PriorityScale } from '../core/priority.ts'
import { atlassian } from '../core/rich.ts'
import { headerText, hmac, sharedToken } from '../core/signature.ts'
import { type EventKind, isResolved, type Status } from '../core/ticket.ts'

/** What happened, by `webhookEvent` without `jira:`, or by the `eventType` that a Forge app passes on. */
const KINDS: ReadonlyMap<string, EventKind> = new Map([
  ['issue_created', 'created'],
  ['issue_updated', 'updated'],
  ['issue_deleted', 'deleted'],
  ['comment_created', 'commented'],
  ['comment_updated', 'commented'],
  // What was said here stays in the history; a deleted comment is no deleted ticket.
  ['comment_deleted', 'commented'],
  ['avi:jira:created:issue', 'created'],
  ['avi:jira:updated:issue', 'updated'],
  ['avi:jira:deleted:issue', 'deleted'],
  ['avi:jira:commented:issue', 'commented'],
])

/** A status is named by its site, in any language; its category has one of these keys everywhere. */
const CATEGORIES: ReadonlyMap<string, Status> = new Map([
  ['new', 'new'],
  ['indeterminate', 'open'],
  ['done', 'resolved'],
])

/** Names that say more than the category, or stand alone where an old payload has none. */
const STATUSES: ReadonlyMap<string, Status> = new Map([
  ['to do', 'new'],
  ['open', 'open'],
  ['reopened', 'open'],
  ['in progress', 'open'],
  ['waiting for support', 'open'],
  ['waiting for customer', 'pending'],
  ['pending', 'pending'],
  ['on hold', 'pending'],
  ['resolved', 'resolved'],
  ['done', 'resolved'],
  ['closed', 'closed'],
  ['canceled', 'closed'],
  ['cancelled', 'closed'],
  ['declined', 'closed'],
])

/** Jira's own statuses Resolved and Closed have these ids on every site. */
const DONE_IDS = new Set(['5', '6'])

/** Both schemes that Jira has had, and the ids that they share; a custom priority's id is above 10000. */
const PRIORITIES: PriorityScale = {
  1: 'urgent',
  2: 'high',
  3: 'medium',
  4: 'low',
  5: 'low',
  blocker: 'urgent',
  critical: 'high',
  major: 'medium',
  minor: 'low',
  trivial: 'low',
}

const DELIVERY = 'x-atlassian-webhook-identifier'

/** Jira Cloud, Data Center and Service Management: admin webhooks, automation rules and forwarded REST objects. */
export default definePlatform({
  id: 'jira',
  label: 'Jira',
  aliases: ['jsm', 'jira_service_management', 'jira_cloud', 'jira_data_center', 'jira_server', 'jira_software'],
  kinds: ['created', 'updated', 'commented', 'solved', 'reopened', 'deleted', 'ignored'],
  headers: [DELIVERY, 'x-atlassian-webhook-flow', 'x-atlassian-webhook-retry'],
  userAgent: 'Atlassian',
  recognises: (payload) =>
    typeof payload['webhookEvent'] === 'string' ||
    isIssue(payload['issue']) ||
    (isKey(payload['key']) && isObject(payload['fields']) && 'summary' in payload['fields']),

  schemes: {
    // The header has the name that others use for SHA-1; Jira sends SHA-256 in it.
    signature: hmac({ algorithm: 'sha256', encoding: 'hex', header: 'x-hub-signature', prefix: 'sha256=' }),
    token: sharedToken(),
  },
  priorities: PRIORITIES,
  noise:
    /^(self|expand|avatarUrls|avatarId|iconUrl|_links|namedValue|active|timeZone|accountType|thumbnail|votes|watches|workratio|lastViewed|(aggregate)?progress|matchedWebhookIds)$/,

  deliveryId: ({ headers }) => headerText(headers, DELIVERY),

  read: (body) => {
    const event = text(body, 'webhookEvent', 'eventType')?.replace(/^jira:/, '') ?? null
    // Only automation rules send the issue by itself; a comment may come without one.
    const issue = isObject(body.value['issue']) || event !== null ? at(body, 'issue') : body
    // Versions, sprints, users, links, work logs: whatever carries an issue still tells of it.
    if (event !== null && !KINDS.has(event) && !isObject(issue.value['fields'])) return ignored('not_a_ticket')
    return readIssue(body, issue, event)
  },
})

const isIssue = (issue: unknown): boolean => isObject(issue) && (isObject(issue['fields']) || isKey(issue['key']))

const isKey = (key: unknown): boolean =>
  typeof key === 'string' && key.length < 300 && /^[A-Z][A-Z0-9_]*-\d+$/i.test(key)

function readIssue(body: Fields, issue: Fields, event: string | null): NativeEvent {
  // An automation rule whose body an administrator has written may have the fields beside the key.
  const fields = isObject(issue.value['fields']) ? at(issue, 'fields') : issue
  const type = text(body, 'issue_event_type_name')
  const isCommentGone = event === 'comment_deleted' || type === 'issue_comment_deleted'
  if (isCommentGone && text(fields, 'summary') === null) return ignored('no_change')

  const reporter = personOf(fields, 'reporter') ?? personOf(fields, 'creator')
  const comment = isCommentGone ? null : commentOf(body, fields, event, reporter)
  const { status, said } = statusOf(fields)
  const moved = moveOf(body)
  const kind = kindOf({ event, type, status, moved, hasComment: comment !== null })
  const ticket = ticketOf(body, issue, fields)
  skip(body, 'timestamp', 'changelog', ...(isCommentGone ? ['comment'] : []))
  skip(issue, 'changelog', 'renderedFields')
  skip(fields, 'comment', 'worklog', 'attachment', 'creator')
  return {
    kind,
    ticket: {
      ...ticket,
      status: kind === 'deleted' ? 'closed' : kind === 'reopened' && status === 'new' ? 'open' : status,
      userId: reporter?.id ?? null,
      email: reporter?.email ?? null,
      updatedAt: updatedAt(body, fields, kind),
      metadata: {
        ...ticket.metadata,
        status: said,
        requester_name: reporter?.name,
        changed_by: personOf(body, 'user')?.name,
      },
    },
    comment,
  }
}

function ticketOf(body: Fields, issue: Fields, fields: Fields): NativeTicket {
  const self = text(issue, 'self') ?? text(at(body, 'comment'), 'self')
  const key = text(issue, 'key', 'issueKey')
  const site = siteOf(self)
  const attachments = list(fields, 'attachment').map((file) => ({
    name: text(file, 'filename'),
    size: Number(text(file, 'size')) || null,
    url: text(file, 'content'),
  }))
  return {
    account: site?.replace(/^https?:\/\//i, '').toLowerCase() ?? null,
    // A comment may come without its issue, of which its own address then still has the id.
    id: text(issue, 'id') ?? /\/issue\/(\d+)/.exec(self ?? '')?.[1] ?? key,
    key,
    title: text(fields, 'summary'),
    description: atlassian(fields, 'description'),
    category: named(fields, 'issuetype'),
    priority: priorityOf(fields),
    metadata: {
      // Behind the gateway for apps there is no page to show.
      url: site === null || key === null || site.includes('/ex/jira/') ? null : `${site}/browse/${key}`,
      project: named(fields, 'project'),
      request_type: requestTypeOf(fields),
      tags: words(fields, 'labels'),
      components: words(fields, 'components'),
      resolution: named(fields, 'resolution'),
      assignee: personOf(fields, 'assignee')?.name,
      attachments,
    },
  }
}

/**
 * The address of the site that an API link lies on: what stands before `/rest/`. Data Center can have a path there, and
 * apps get `api.atlassian.com/ex/jira/<site>`, whose host alone would be the same for all.
 */
const siteOf = (self: string | null): string | null =>
  /^(https?:\/\/[^/?#]+(?:\/[^?#]*?)?)\/rest\//i.exec(self ?? '')?.[1] ?? null

/** The name of what is said as an object or, in a body that an administrator has written, as a word. */
function named(fields: Fields, key: string): string | null {
  const name = text(at(fields, key), 'name') ?? text(fields, key)
  if (name !== null) skip(fields, key)
  return name
}

/** A name that nobody knows, because it is translated or the site's own, is read by its id. */
function priorityOf(fields: Fields) {
  const id = text(at(fields, 'priority'), 'id')
  const said = named(fields, 'priority') ?? id
  if (said === null) return null
  const is = priorityFrom(said, PRIORITIES) ?? priorityFromLabels([said]).is ?? priorityFrom(id, PRIORITIES)
  return is === null ? said : { is, said }
}

function statusOf(fields: Fields): { status: Status | null; said: string | null } {
  const category = CATEGORIES.get(text(at(fields, 'status', 'statusCategory'), 'key') ?? '') ?? null
  const said = named(fields, 'status')
  const word = wordOf(said)
  if (category === null) return { status: word, said }
  const isFiner = category === 'resolved' ? word === 'closed' : word === 'pending'
  return { status: isFiner ? word : category, said }
}

const wordOf = (status: string | null): Status | null => STATUSES.get(status?.toLowerCase() ?? '') ?? null

type Move = { wasDone: boolean }

/**
 * The change of status that this event tells of. It names the status before without its category: that was a done one
 * when Jira has cleared the resolution, when it is one of Jira's own, or when its name says so.
 */
function moveOf(body: Fields): Move | null {
  const items = list(at(body, 'changelog'), 'items')
  const changed = (field: string) => items.find((item) => text(item, 'fieldId', 'field')?.toLowerCase() === field)
  const [status, resolution] = [changed('status'), changed('resolution')]
  if (status !== undefined) {
    const isCleared = resolution !== undefined && text(resolution, 'from') !== null && text(resolution, 'to') === null
    return {
      wasDone: isCleared || DONE_IDS.has(text(status, 'from') ?? '') || isResolved(wordOf(text(status, 'fromString'))),
    }
  }
  // Payloads of old, which have no `webhookEvent`.
  const from = text(at(body, 'transition'), 'from_status')
  return from === null ? null : { wasDone: isResolved(wordOf(from)) }
}

type Told = {
  event: string | null
  type: string | null
  status: Status | null
  moved: Move | null
  hasComment: boolean
}

function kindOf({ event, type, status, moved, hasComment }: Told): EventKind {
  const kind = event === null ? null : (KINDS.get(event) ?? 'updated')
  if (kind !== null && kind !== 'updated') return kind
  // An automation rule tells how the issue is now, not what has changed.
  const isMoved = moved !== null || kind === null || type === 'issue_resolved' || type === 'issue_closed'
  if (isResolved(status)) return isMoved ? 'solved' : 'updated'
  if (type === 'issue_reopened' || (moved?.wasDone === true && status !== null)) return 'reopened'
  return hasComment && type === 'issue_commented' ? 'commented' : 'updated'
}

/** A comment's event has a few of the issue's fields, which may be older than what other events have told. */
function updatedAt(body: Fields, fields: Fields, kind: EventKind): number | null {
  const updated = time(fields, 'updated')
  if (kind === 'commented') return has(fields, 'description') ? updated : null
  return updated ?? time(body, 'timestamp')
}

type Person = { id: string | null; name: string | null; email: string | null; isCustomer: boolean }

/** Cloud has an `accountId` and mostly hides the address; Data Center has a `key` that outlives the `name`. */
function personOf(fields: Fields, key: string): Person | null {
  const person = at(fields, key)
  const word = text(fields, key)
  const read = {
    id: text(person, 'accountId', 'key', 'name'),
    name: text(person, 'displayName', 'name') ?? word,
    email: text(person, 'emailAddress') ?? (word?.includes('@') === true ? word : null),
    isCustomer: text(person, 'accountType') === 'customer',
  }
  if (read.id === null && read.name === null && read.email === null) return null
  skip(fields, key)
  return read
}

/** The comment that the event is about; where there is no event, the last one that the issue has. */
function commentOf(body: Fields, fields: Fields, event: string | null, reporter: Person | null): NativeComment | null {
  const last = event === null ? list(at(fields, 'comment'), 'comments').at(-1) : undefined
  if (!has(body, 'comment') && last === undefined) return null
  const comment = has(body, 'comment') ? at(body, 'comment') : (last ?? body)
  const author = personOf(comment, 'author')
  const isPublic = isPublicComment(comment)
  const isRequester = author?.id != null && author.id === reporter?.id
  skip(comment, 'updateAuthor', 'created', 'updated', 'visibility', 'properties')
  return {
    id: text(comment, 'id'),
    body: has(comment, 'body') ? atlassian(comment, 'body') : atlassian(body, 'comment'),
    public: isPublic,
    author: author?.name ?? null,
    authorId: author?.id ?? null,
    // Only agents write what customers must not see.
    byStaff: author?.isCustomer || isRequester ? false : isPublic ? null : true,
  }
}

/** Cloud says `jsdPublic`, Data Center a property; both may limit a comment to a role or group. */
function isPublicComment(comment: Fields): boolean {
  if (flag(comment, 'jsdPublic') === false || isObject(comment.value['visibility'])) return false
  return !list(comment, 'properties').some(
    (property) => text(property, 'key') === 'sd.public.comment' && flag(at(property, 'value'), 'internal') === true,
  )
}

/** Service Management's request type, in a custom field whose number is another on each site. */
function requestTypeOf(fields: Fields): string | null {
  for (const key of Object.keys(fields.value)) {
    if (!key.startsWith('customfield_')) continue
    const name = text(at(fields, key, 'requestType'), 'name')
    if (name !== null) return name
  }
  return null
}
