import { at, type Fields, fieldsOf, flag, has, meaning, skip, text, time, words } from '../core/fields.ts'
import { isObject } from '../core/json.ts'
import { definePlatform, ignored, type NativeComment, type NativeTicket } from '../core/native.ts'
import { categoryFromLabels, priorityFrom, priorityFromLabels } from '../core/priority.ts'
import { headerText, sharedToken, standardWebhooks, type Verify } from '../core/signature.ts'
import type { EventKind, Status } from '../core/ticket.ts'

/** An incident, a task or an epic comes as a work item. */
const TICKETS = new Set<unknown>(['issue', 'work_item'])
const NOTED = new Set<unknown>(['Issue', 'WorkItem'])

const KINDS: Readonly<Record<string, EventKind>> = { open: 'created', close: 'solved', reopen: 'reopened' }

const STATUSES: Readonly<Record<string, Status>> = { opened: 'open', reopened: 'open', closed: 'closed' }

const secretToken = sharedToken('x-gitlab-token')
const isSigningToken = (secret: string) => secret.startsWith('whsec_')

/** The secret's kind says how it is used: a signing token never travels, a secret token is sent as it is. */
const token: Verify = (request, secrets, now) => {
  const plain = secrets.filter((secret) => !isSigningToken(secret))
  const fault = standardWebhooks(request, secrets.filter(isSigningToken), now)
  if (fault === null || secretToken(request, plain, now) === null) return null
  return fault === 'missing' ? secretToken(request, plain, now) : fault
}

/** Issues and work items, and the notes on them. */
export default definePlatform({
  id: 'gitlab',
  label: 'GitLab',
  kinds: ['created', 'updated', 'commented', 'solved', 'reopened', 'ignored'],
  headers: ['x-gitlab-event', 'x-gitlab-event-uuid', 'x-gitlab-webhook-uuid', 'x-gitlab-instance', 'x-gitlab-token'],
  userAgent: 'GitLab/',
  recognises: (payload) => 'object_kind' in payload && isObject(payload['object_attributes']),

  schemes: { token, signature: standardWebhooks },

  // Older versions have only the UUID of what happened, which hooks set off by another hook share with it.
  deliveryId: ({ headers }) =>
    headerText(headers, 'idempotency-key') ??
    headerText(headers, 'webhook-id') ??
    headerText(headers, 'x-gitlab-event-uuid'),
  noise:
    /^(?:avatar_url|color|author_id|assignee_ids?|project_id|state_id|updated_by_id|last_edited_by_id|relative_position|time_change|time_estimate|total_time_spent|human_.*|position|st_diff|discussion_id|noteable_(?:id|type))$/,

  read: (body, { headers }) => {
    const kind = text(body, 'object_kind')
    const attributes = at(body, 'object_attributes')
    const isNote = kind === 'note' && NOTED.has(text(attributes, 'noteable_type') ?? 'Issue')
    if (!isNote && !TICKETS.has(kind)) return ignored('not_a_ticket')
    const issue = isNote ? at(body, 'issue') : attributes
    const ticket = ticketOf(body, issue, headerText(headers, 'x-gitlab-instance'))
    const comment = isNote ? commentOf(body, attributes) : null
    const action = text(attributes, 'action') ?? ''
    skip(body, 'event_type', 'project', 'project_id', 'repository', 'user', 'changes')
    return { kind: isNote ? 'commented' : (meaning(KINDS, action) ?? 'updated'), ticket, comment }
  },
})

function ticketOf(body: Fields, issue: Fields, instance: string | null): NativeTicket {
  const project = at(body, 'project')
  const url = text(issue, 'url')
  const key = keyOf(text(project, 'path_with_namespace'), text(issue, 'iid'), url)
  const labels = [body, issue].flatMap((fields) => words(fields, 'labels'))
  const takenOff = words(at(body, 'changes', 'labels'), 'previous')
  const severity = priorityFrom(text(issue, 'severity'))
  const state = text(issue, 'state')
  const type = text(issue, 'type')
  const author = authorOf(body, issue)
  const email = text(author, 'email')
  return {
    account: hostOf(text(project, 'web_url')) ?? hostOf(url) ?? hostOf(instance),
    // The number is the project's, whose path may change; the id is the server's.
    id: text(issue, 'id') ?? text(at(body, 'object_attributes'), 'noteable_id') ?? key,
    key,
    title: text(issue, 'title'),
    description: text(issue, 'description'),
    category: categoryFromLabels(labels) ?? (type === 'Issue' ? null : type),
    priority:
      severity === null ? priorityFromLabels(labels, takenOff) : { is: severity, said: text(issue, 'severity') },
    status: meaning(STATUSES, state),
    userId: text(author, 'username'),
    email: email?.includes('@') ? email : null, // "[REDACTED]" where it is not public
    updatedAt: time(issue, 'updated_at'),
    metadata: {
      status: state,
      tags: [...new Set(labels)],
      url,
      project: text(project, 'path_with_namespace'),
      type,
      confidential: flag(issue, 'confidential') || null,
      assignees: words(body, 'assignees'),
      requester_name: text(author, 'name'),
    },
  }
}

/** Who acts is named, the author by number alone: it is the author's name where both are the same person. */
function authorOf(body: Fields, issue: Fields): Fields {
  const user = at(body, 'user')
  const isAuthor = text(user, 'id') !== null && text(user, 'id') === text(issue, 'author_id')
  const isOpened = text(at(body, 'object_attributes'), 'action') === 'open' && !has(issue, 'author_id')
  return isAuthor || isOpened ? user : fieldsOf(null)
}

/** `group/project#17` as people write it, and `group&2` for an epic, which belongs to a group. */
function keyOf(path: string | null, number: string | null, url: string | null): string | null {
  const [, group, found] = /^https?:\/\/[^/]+\/(groups\/)?([^?#]+?)\/-\//.exec(url ?? '') ?? []
  const owner = path ?? found ?? null
  if (owner === null || number === null) return null
  return `${owner}${path === null && group !== undefined ? '&' : '#'}${number}`
}

const hostOf = (url: string | null): string | null =>
  /^https?:\/\/([^/?#]+)/i.exec(url ?? '')?.[1]?.toLowerCase() ?? null

function commentOf(body: Fields, note: Fields): NativeComment {
  const user = at(body, 'user')
  const isInternal =
    flag(note, 'internal') ?? flag(note, 'confidential') ?? text(body, 'event_type') === 'confidential_note'
  skip(note, 'description', 'url', 'created_at', 'updated_at', 'system', 'author_id')
  return {
    id: text(note, 'id'),
    body: text(note, 'note', 'description'),
    public: !isInternal,
    author: text(user, 'name'),
    authorId: text(user, 'username'),
  }
}
