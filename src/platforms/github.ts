import { at, type Fields, has, list, meaning, raw, skip, text, time, words } from '../core/fields.ts'
import { isObject } from '../core/json.ts'
import { definePlatform, ignored, type NativeComment } from '../core/native.ts'
import { categoryFromLabels, priorityFromLabels } from '../core/priority.ts'
import { headerText, hmac, sharedToken } from '../core/signature.ts'
import type { EventKind, Status } from '../core/ticket.ts'

const KINDS: Readonly<Record<string, EventKind>> = {
  opened: 'created',
  closed: 'solved',
  reopened: 'reopened',
  deleted: 'deleted',
  transferred: 'deleted', // it goes on under another repository's name, which tells of it as opened
}

const STAFF = new Set(['OWNER', 'MEMBER', 'COLLABORATOR'])

/** Issues and the comments on them. Pull requests, which GitHub counts as issues too, are no tickets. */
export default definePlatform({
  id: 'github',
  label: 'GitHub',
  kinds: ['created', 'updated', 'commented', 'solved', 'reopened', 'deleted', 'handshake', 'ignored'],
  headers: ['x-github-event', 'x-github-delivery', 'x-github-hook-id'],
  userAgent: 'GitHub-Hookshot/',
  recognises: (payload) => {
    const { issue, repository } = payload
    if ('zen' in payload && 'hook_id' in payload) return true
    return 'action' in payload && isObject(issue) && isObject(repository) && 'full_name' in repository
  },

  schemes: {
    // Beside it comes X-Hub-Signature with SHA-1, for receivers of old, which is never looked at.
    signature: hmac({ algorithm: 'sha256', encoding: 'hex', header: 'x-hub-signature-256', prefix: 'sha256=' }),
    token: sharedToken(),
  },

  deliveryId: ({ headers }) => headerText(headers, 'x-github-delivery'),
  noise:
    /^(?:url|.*_url|node_id|reactions|comments|color|default|site_admin|sub_issues_summary|issue_dependencies_summary|performed_via_github_app)$/,

  read: (body, { headers }) => {
    const event = headerText(headers, 'x-github-event') ?? eventOf(body)
    if (event === 'ping') return { kind: 'handshake', answer: { status: 'ignored', reason: 'ping' } }
    const issue = at(body, 'issue')
    const isComment = event === 'issue_comment'
    if ((!isComment && event !== 'issues') || raw(issue, 'pull_request') !== null) return ignored('not_a_ticket')
    const action = text(body, 'action') ?? ''
    if (isComment && action === 'deleted') return ignored('no_change')

    const kind = isComment ? 'commented' : (meaning(KINDS, action) ?? 'updated')
    const repository = text(at(body, 'repository'), 'full_name')
    const number = text(issue, 'number')
    const user = at(issue, 'user')
    const labels = words(issue, 'labels')
    const takenOff = action === 'unlabeled' ? text(at(body, 'label'), 'name') : null
    const assignees = list(issue, 'assignees').flatMap((assignee) => text(assignee, 'login') ?? [])
    const milestone = text(at(issue, 'milestone'), 'title')
    const state = text(issue, 'state')
    const reason = text(issue, 'state_reason')
    skip(body, 'repository', 'sender', 'organization', 'enterprise', 'installation')
    skip(body, 'changes', 'label', 'assignee', 'milestone')
    skip(issue, 'id', 'user', 'assignee', 'assignees', 'milestone', 'type')
    return {
      kind,
      ticket: {
        // Each delivery of a GitHub Enterprise server says which server it is; none of github.com does.
        account: headerText(headers, 'x-github-enterprise-host'),
        id: repository === null || number === null ? null : `${repository}#${number}`,
        title: text(issue, 'title'),
        description: text(issue, 'body'),
        category: categoryFromLabels(labels) ?? text(at(issue, 'type'), 'name'),
        priority: priorityFromLabels(labels, takenOff === null ? [] : [takenOff]),
        status: kind === 'deleted' ? 'closed' : statusOf(state, reason),
        userId: text(user, 'login'),
        updatedAt: time(issue, 'updated_at'),
        metadata: {
          status: state,
          state_reason: reason,
          tags: labels,
          url: text(issue, 'html_url'),
          repository,
          number,
          author_association: text(issue, 'author_association'),
          assignees,
          milestone,
        },
      },
      comment: isComment ? commentOf(at(body, 'comment')) : null,
    }
  },
})

/** For a delivery whose headers were lost on the way. */
function eventOf(body: Fields): string | null {
  if (has(body, 'zen')) return 'ping'
  if (!has(body, 'issue')) return null
  return has(body, 'comment') ? 'issue_comment' : 'issues'
}

function statusOf(state: string | null, reason: string | null): Status | null {
  if (state === 'closed') return reason === null || reason === 'completed' ? 'resolved' : 'closed'
  return state === 'open' ? 'open' : null
}

function commentOf(comment: Fields): NativeComment {
  const login = text(at(comment, 'user'), 'login')
  const association = text(comment, 'author_association')
  skip(comment, 'user', 'created_at', 'updated_at')
  return {
    id: text(comment, 'id'),
    body: text(comment, 'body'),
    author: login,
    authorId: login,
    byStaff: association === null ? null : STAFF.has(association),
  }
}
