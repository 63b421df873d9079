import { at, type Fields, fieldsOf, has, meaning, skip, text, time, words } from '../core/fields.ts'
import { isObject, jsonOrNull } from '../core/json.ts'
import { definePlatform, ignored, type NativeEvent } from '../core/native.ts'
import { categoryFromLabels, priorityFrom, type PriorityScale } from '../core/priority.ts'
import { headerText, hmac, sharedToken } from '../core/signature.ts'
import { type EventKind, isResolved, type Status } from '../core/ticket.ts'

const KINDS: Readonly<Record<string, EventKind>> = { create: 'created', remove: 'deleted', restore: 'reopened' }

/** By the type of a state: its name is the team's own. */
const STATUSES: Readonly<Record<string, Status>> = {
  triage: 'new',
  backlog: 'open',
  unstarted: 'open',
  started: 'open',
  completed: 'resolved',
  canceled: 'closed',
  duplicate: 'closed',
}

const PRIORITIES: PriorityScale = {
  0: null,
  1: 'urgent',
  2: 'high',
  3: 'medium',
  4: 'low',
  'no priority': null,
}

/** Issues and the comments on them. */
export default definePlatform({
  id: 'linear',
  label: 'Linear',
  kinds: ['created', 'updated', 'commented', 'solved', 'reopened', 'deleted', 'ignored'],
  headers: ['linear-event', 'linear-delivery', 'linear-signature', 'linear-timestamp'],
  userAgent: 'Linear-Webhook',
  recognises: (payload) =>
    'organizationId' in payload && 'action' in payload && 'type' in payload && isObject(payload['data']),

  schemes: {
    signature: hmac({
      algorithm: 'sha256',
      encoding: 'hex',
      header: 'linear-signature',
      // As much as Linear's own SDK allows; the header that says the time as well is not signed.
      time: { of: ({ body }) => sentAtIn(body), toleranceSeconds: 60 },
    }),
    token: sharedToken(),
  },
  priorities: PRIORITIES,

  deliveryId: ({ headers }) => headerText(headers, 'linear-delivery'),
  noise: /^(?:boardOrder|sortOrder|prioritySortOrder|subIssueSortOrder|reactionData|.*Ids?|color|url|slaType)$/,

  read: (body) => {
    const type = text(body, 'type')
    const data = at(body, 'data')
    skip(body, 'actor', 'createdAt', 'organizationId', 'webhookTimestamp', 'webhookId')
    if (type === 'Issue') return readIssue(body, data)
    return type === 'Comment' && (has(data, 'issueId') || has(data, 'issue'))
      ? readComment(body, data)
      : ignored('not_a_ticket')
  },
})

function readIssue(body: Fields, data: Fields): NativeEvent {
  const action = text(body, 'action') ?? ''
  const before = at(body, 'updatedFrom')
  const url = text(body, 'url') ?? text(data, 'url')
  const state = at(data, 'state')
  const status = meaning(STATUSES, text(state, 'type'))
  const labels = words(data, 'labels')
  // Somebody from outside, through a form or a chat, before the member or the integration that entered it.
  const outside = at(data, 'externalUserCreator')
  const creator = creatorOf(body, data)
  const team = at(data, 'team')
  const kind = meaning(KINDS, action) ?? kindOfUpdate(before, status)
  skip(body, 'updatedFrom')
  skip(
    data,
    'state',
    'team',
    'descriptionData',
    'previousIdentifiers',
    'number',
    'priorityLabel',
    'createdAt',
    'reactionData',
  )
  return {
    kind,
    ticket: {
      id: text(data, 'id'),
      key: text(data, 'identifier') ?? keyIn(url) ?? keyOf(text(team, 'key'), text(data, 'number')),
      title: text(data, 'title'),
      description: text(data, 'description'),
      category: categoryFromLabels(labels),
      priority: priorityOf(data, has(before, 'priority')),
      status: kind === 'deleted' ? 'closed' : status,
      userId: text(outside, 'id') ?? text(data, 'creatorId', 'externalUserCreatorId') ?? text(creator, 'id'),
      email: text(outside, 'email') ?? text(creator, 'email'),
      updatedAt: time(data, 'updatedAt'),
      metadata: {
        status: text(state, 'name'),
        tags: labels,
        url,
        requester_name: text(outside, 'name') ?? text(creator, 'name'),
        team: text(team, 'name', 'key'),
        project: text(at(data, 'project'), 'name'),
        assignee: text(at(data, 'assignee'), 'name'),
        due_date: text(data, 'dueDate'),
      },
    },
  }
}

/** Who acts is told more of than who made the issue, which is often the same person. */
function creatorOf(body: Fields, data: Fields): Fields {
  if (has(data, 'creator')) return at(data, 'creator')
  const actor = at(body, 'actor')
  return text(actor, 'id') !== null && text(actor, 'id') === text(data, 'creatorId') ? actor : fieldsOf(null)
}

/** An update says what the changed fields held before: the time at which the issue was done goes when it is opened. */
function kindOfUpdate(before: Fields, status: Status | null): EventKind {
  if (isResolved(status)) return has(before, 'stateId') ? 'solved' : 'updated'
  return text(before, 'completedAt', 'canceledAt') === null ? 'updated' : 'reopened'
}

/** No priority is nothing said, unless it was just taken away: then the issue is back at medium. */
function priorityOf(data: Fields, isChanged: boolean) {
  const said = text(data, 'priority')
  const label = text(data, 'priorityLabel') ?? said
  const is = priorityFrom(said, PRIORITIES) ?? priorityFrom(label, PRIORITIES)
  if (is !== null) return { is, said: label }
  const isNone = said === '0' || label?.toLowerCase() === 'no priority'
  return { is: isNone && isChanged ? ('medium' as const) : null, said: isNone ? null : label }
}

function readComment(body: Fields, data: Fields): NativeEvent {
  if (text(body, 'action') === 'remove') return ignored('no_change')
  const url = text(body, 'url')
  const issue = at(data, 'issue')
  const user = at(data, 'user')
  const outside = at(data, 'externalUser')
  const isOutside = text(outside, 'id', 'name') !== null
  skip(data, 'issue', 'user', 'externalUser', 'botActor', 'bodyData', 'createdAt', 'updatedAt')
  return {
    kind: 'commented',
    ticket: {
      id: text(data, 'issueId') ?? text(issue, 'id'),
      key: text(issue, 'identifier') ?? keyIn(url),
      title: text(issue, 'title'),
      metadata: { url: text(issue, 'url') ?? url?.replace(/#.*$/s, '') },
    },
    comment: {
      id: text(data, 'id'),
      body: text(data, 'body'),
      author: text(outside, 'name') ?? text(user, 'name') ?? text(at(data, 'botActor'), 'name'),
      authorId: text(outside, 'id') ?? text(data, 'userId') ?? text(user, 'id'),
      byStaff: isOutside ? false : null,
    },
  }
}

/** `WEB-44`, from https://linear.app/acme/issue/WEB-44/outage */
const keyIn = (url: string | null): string | null => /\/issue\/([A-Za-z0-9_]+-\d+)/.exec(url ?? '')?.[1] ?? null

const keyOf = (team: string | null, number: string | null): string | null =>
  team === null || number === null ? null : `${team}-${number}`

/** The time of sending is inside what is signed. Asked for once the signature is known to be right. */
function sentAtIn(body: Buffer): string | null {
  const payload = jsonOrNull(body.toString('utf8'))
  return isObject(payload) ? String(payload['webhookTimestamp']) : null
}
