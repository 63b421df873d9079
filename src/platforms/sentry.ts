import { at, type Fields, has, meaning, raw, skip, text, timeFrom, words } from '../core/fields.ts'
import { isObject } from '../core/json.ts'
import { definePlatform, ignored, type NativeEvent } from '../core/native.ts'
import type { PriorityScale } from '../core/priority.ts'
import { type Headers, headerText, hmac, sharedToken } from '../core/signature.ts'
import type { EventKind, Status } from '../core/ticket.ts'

const KINDS: Readonly<Record<string, EventKind>> = {
  created: 'created',
  resolved: 'solved',
  archived: 'solved',
  ignored: 'solved',
  unresolved: 'reopened',
}

const STATUSES: Readonly<Record<string, Status>> = {
  unresolved: 'open',
  resolved: 'resolved',
  archived: 'closed',
  ignored: 'closed',
  muted: 'closed',
}

const LEVELS: PriorityScale = {
  fatal: 'urgent',
  error: 'high',
  warning: 'medium',
  info: 'low',
  debug: 'low',
  sample: 'low',
}

/** What an error event says to a debugger; it can be large, and the request it quotes can hold a visitor's secrets. */
const OF_THE_EVENT = [
  '_meta',
  '_metrics',
  'breadcrumbs',
  'contexts',
  'debug_meta',
  'entries',
  'errors',
  'exception',
  'extra',
  'fingerprint',
  'fingerprints',
  'grouping_config',
  'hashes',
  'logentry',
  'modules',
  'occurrence',
  'request',
  'sdk',
  'spans',
  'stacktrace',
  'threads',
  'user',
]

/** Issues, the alerts and single errors on them, their comments, and metric alerts. */
export default definePlatform({
  id: 'sentry',
  label: 'Sentry',
  kinds: ['created', 'updated', 'commented', 'solved', 'reopened', 'ignored'],
  headers: ['sentry-hook-resource', 'sentry-hook-signature', 'sentry-hook-timestamp'],
  userAgent: 'sentry/',
  recognises: (payload) =>
    'action' in payload && isObject(payload['installation']) && 'uuid' in payload['installation'] && 'data' in payload,

  schemes: {
    // Sentry-Hook-Timestamp is not part of what is signed, so it proves nothing.
    signature: hmac({ algorithm: 'sha256', encoding: 'hex', header: 'sentry-hook-signature' }),
    token: sharedToken(),
  },
  priorities: LEVELS,

  deliveryId: ({ headers }) => headerText(headers, 'request-id'),
  noise: /^(?:url|.*_url|annotations|isBookmarked|isPublic|isSubscribed|hasSeen|shareId|subscriptionDetails|key_id)$/,

  read: (body, { headers }) => {
    const action = text(body, 'action') ?? ''
    const data = at(body, 'data')
    const sentAt = sentAtOf(headers)
    skip(body, 'installation', 'actor')
    if (has(data, 'metric_alert')) return readMetricAlert(data, action, sentAt)
    if (has(data, 'issue')) return readIssue(data, action, sentAt)
    if (has(data, 'event') || has(data, 'error')) return readEvent(data, sentAt)
    return has(data, 'comment') ? readComment(body, action) : ignored('not_a_ticket')
  },
})

/** What an issue was last seen at does not change when it is resolved: what orders its events is when they were sent. */
const sentAtOf = (headers: Headers): number | null => timeFrom(headerText(headers, 'sentry-hook-timestamp'))

function readIssue(data: Fields, action: string, sentAt: number | null): NativeEvent {
  const issue = at(data, 'issue')
  const details = at(issue, 'metadata')
  const project = at(issue, 'project')
  const said = text(issue, 'status')
  const type = text(issue, 'type')
  const title = text(issue, 'title')
  const email = text(details, 'contact_email')
  skip(issue, 'project', 'metadata', 'type', 'numComments', 'statusDetails', 'logger')
  return {
    kind: meaning(KINDS, action) ?? 'updated',
    ticket: {
      id: text(issue, 'id'),
      title,
      // A user's feedback is an issue too: its words are the message.
      description: text(details, 'message') ?? text(issue, 'culprit') ?? text(details, 'value'),
      category: text(issue, 'issueCategory') ?? (type === 'default' ? null : type),
      priority: text(issue, 'level'),
      status: meaning(STATUSES, action) ?? meaning(STATUSES, said),
      email,
      updatedAt: sentAt,
      metadata: {
        status: said,
        substatus: text(issue, 'substatus'),
        short_id: text(issue, 'shortId'),
        url: text(issue, 'permalink', 'web_url'),
        project: text(project, 'slug', 'name'),
        runtime: text(issue, 'platform'),
        culprit: text(issue, 'culprit'),
        occurrences: text(issue, 'count'),
        users_affected: text(issue, 'userCount'),
        first_seen: text(issue, 'firstSeen'),
        last_seen: text(issue, 'lastSeen'),
        assignee: text(at(issue, 'assignedTo'), 'name', 'email'),
        requester_name: email === null ? null : text(details, 'name'),
      },
    },
  }
}

/** One event of an issue: that an alert fired for it, or each of its errors. */
function readEvent(data: Fields, sentAt: number | null): NativeEvent {
  const event = at(data, has(data, 'event') ? 'event' : 'error')
  const url = text(event, 'web_url')
  const type = text(event, 'type')
  const culprit = text(event, 'culprit')
  const tags = tagsOf(raw(event, 'tags'))
  skip(event, ...OF_THE_EVENT)
  skip(event, 'metadata', 'type', 'version', 'timestamp', 'received', 'datetime', 'project', 'location')
  skip(data, 'issue_alert')
  return {
    kind: 'updated',
    ticket: {
      id: text(event, 'issue_id') ?? issueIn(url) ?? issueIn(text(event, 'issue_url')),
      title: text(event, 'title'),
      description: culprit ?? text(event, 'message', 'location'),
      category: type === 'default' ? null : type,
      priority: text(event, 'level'),
      updatedAt: sentAt,
      metadata: {
        url: url?.replace(/events\/[^/]*\/?$/, ''),
        culprit,
        runtime: text(event, 'platform'),
        environment: text(event, 'environment'),
        release: text(event, 'release'),
        tags,
        event_id: text(event, 'event_id'),
        alert_rule: text(data, 'triggered_rule'),
      },
    },
  }
}

/** From https://sentry.io/organizations/acme/issues/1635240001/events/8da6/ */
const issueIn = (url: string | null): string | null => /\/issues\/(\d+)/.exec(url ?? '')?.[1] ?? null

/** `[["browser", "Chrome"]]`, or the same as keys and values. */
function tagsOf(tags: unknown): string[] {
  if (!Array.isArray(tags)) return []
  return tags.flatMap((tag: unknown) => {
    const [key, value]: unknown[] = Array.isArray(tag) ? tag : isObject(tag) ? [tag['key'], tag['value']] : []
    return typeof key === 'string' && typeof value === 'string' ? `${key}: ${value}` : []
  })
}

function readMetricAlert(data: Fields, action: string, sentAt: number | null): NativeEvent {
  const alert = at(data, 'metric_alert')
  const rule = at(alert, 'alert_rule')
  const id = text(alert, 'id')
  const isResolved = action === 'resolved'
  const ruleName = text(rule, 'name')
  const aggregate = text(rule, 'aggregate')
  const query = text(rule, 'query')
  skip(alert, 'alert_rule', 'organization_id', 'activities', 'status', 'status_method', 'type')
  skip(alert, 'title', 'date_created', 'date_detected')
  return {
    kind: isResolved ? 'solved' : 'updated',
    ticket: {
      // Alerts and issues are numbered apart from each other.
      id: id === null ? null : `metric_alert ${id}`,
      key: id,
      title: text(data, 'description_title') ?? text(alert, 'title') ?? ruleName,
      description: text(data, 'description_text'),
      category: 'metric_alert',
      priority: isResolved ? null : { is: severityOf(action), said: action || null },
      status: isResolved ? 'resolved' : null,
      updatedAt: sentAt,
      metadata: {
        status: action,
        url: text(data, 'web_url'),
        identifier: text(alert, 'identifier'),
        projects: words(alert, 'projects'),
        alert_rule: ruleName,
        aggregate,
        query,
        date_started: text(alert, 'date_started'),
        date_closed: text(alert, 'date_closed'),
      },
    },
  }
}

/** A metric's warning is a threshold crossed, and so more than the level that a program gives its own event. */
function severityOf(action: string) {
  if (action === 'critical') return 'urgent'
  return action === 'warning' ? 'high' : null
}

function readComment(body: Fields, action: string): NativeEvent {
  if (action === 'deleted') return ignored('no_change')
  const data = at(body, 'data')
  const actor = at(body, 'actor')
  skip(data, 'timestamp')
  return {
    kind: 'commented',
    ticket: { id: text(data, 'issue_id'), metadata: { project: text(data, 'project_slug') } },
    // Only members of the organisation can see what they say there.
    comment: {
      id: text(data, 'comment_id'),
      body: text(data, 'comment'),
      public: false,
      author: text(actor, 'name'),
      authorId: text(actor, 'id'),
      byStaff: true,
    },
  }
}
