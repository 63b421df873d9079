import { at, type Fields, flag, isFilled, list, meaning, skip, text, time, words } from '../core/fields.ts'
import { isObject } from '../core/json.ts'
import { definePlatform, type NativeEvent } from '../core/native.ts'
import { html, type Rich, richHtml } from '../core/rich.ts'
import { headerText, hmac, sharedToken } from '../core/signature.ts'
import type { EventKind, Status } from '../core/ticket.ts'

const STATUSES: Readonly<Record<string, Status>> = {
  new: 'new',
  open: 'open',
  'pending reminder': 'pending',
  'pending close': 'pending',
  closed: 'closed',
  merged: 'closed',
  removed: 'closed',
}

/** A ticket with one article that has hardly changed since it was made was just made. */
const FRESH_MS = 5000

/** `{ticket, article}`, the same for each kind of event, or a payload that an administrator has written. */
export default definePlatform({
  id: 'zammad',
  label: 'Zammad',
  kinds: ['created', 'updated', 'commented', 'solved', 'deleted'],
  headers: ['x-zammad-delivery', 'x-zammad-trigger'],
  userAgent: 'Zammad',
  recognises: (payload) => {
    const { ticket } = payload
    return 'article' in payload && isObject(ticket) && 'number' in ticket && 'title' in ticket
  },

  schemes: {
    // The only algorithm that Zammad signs with (admin-docs.zammad.org, "Webhook Payload").
    signature: hmac({ algorithm: 'sha1', encoding: 'hex', header: 'x-hub-signature', prefix: 'sha1=' }),
    token: sharedToken(),
  },
  // "3 high" is the top: the word counts, and never the digit before it.
  priorities: { low: 'low', normal: 'medium', high: 'high' },
  deliveryId: ({ headers }) => headerText(headers, 'x-zammad-delivery'),

  // Each person and group comes with all that Zammad stores of it.
  noise:
    /^(?:active|created_by|created_by_id|image|image_source|karma_user_ids|login|last_login|login_failed|preferences|role_ids|roles|updated_by|updated_by_id|verified|vip|out_of_office\w*|(?:article|customer|group|organization|owner|priority|sender|state|ticket|type)_ids?)$/,
  read,
})

function read(body: Fields): NativeEvent {
  const nested = at(body, 'ticket')
  const ticket = isFilled(nested) ? nested : body
  const article = at(body, 'article')
  const customer = at(ticket, 'customer')
  const number = text(ticket, 'number', 'ticket_number')
  const state = text(at(ticket, 'state'), 'name') ?? text(ticket, 'state', 'status')
  const status = meaning(STATUSES, state)
  const said = richOf(article)
  const isFirst = isFirstArticle(ticket, article)
  const comment = said.text === null || isFirst ? null : { ...commentOf(article), body: said }
  const owner = text(at(ticket, 'owner'), 'login') === '-' ? null : nameOf(at(ticket, 'owner'))
  const found = {
    group: text(at(ticket, 'group'), 'name') ?? text(ticket, 'group'),
    organization: text(at(ticket, 'organization'), 'name') ?? text(ticket, 'organization'),
  }
  skip(ticket, 'owner', 'group', 'organization')
  return {
    kind: comment === null ? kindOf(ticket, isFirst, status) : 'commented',
    ticket: {
      // Unique in each Zammad, and in every payload: the id beside it is not in those that people write.
      id: number ?? text(ticket, 'id', 'ticket_id'),
      title: text(ticket, 'title', 'subject', 'ticket_title'),
      description: isFirst && said.text !== null ? said : html(ticket, 'description', 'body', 'note'),
      category: text(ticket, 'category', 'type'),
      priority: text(at(ticket, 'priority'), 'name') ?? text(ticket, 'priority'),
      status,
      userId: text(customer, 'id') ?? text(ticket, 'customer_id', 'user_id'),
      email: text(customer, 'email') ?? text(ticket, 'customer_email', 'user_email', 'email', 'customer'),
      updatedAt: time(ticket, 'updated_at'),
      metadata: {
        status: state,
        tags: words(ticket, 'tags'),
        ticket_id: number === null ? null : text(ticket, 'id'),
        url: text(ticket, 'url', 'link'),
        requester_name: nameOf(customer),
        ...found,
        agent: owner,
        via: text(ticket, 'create_article_type') ?? text(article, 'type'),
        attachments: attachmentsOf(article),
      },
    },
    comment,
  }
}

/** Zammad tells how an article is written; one in plain text may well speak of `<b>`. */
function richOf(article: Fields): Rich {
  const body = text(article, 'body')
  if (body === null) return { text: null }
  return text(article, 'content_type')?.toLowerCase().startsWith('text/plain') ? { text: body } : richHtml(body)
}

/** Whether the article is what the ticket was made with. */
function isFirstArticle(ticket: Fields, article: Fields): boolean {
  const count = text(ticket, 'article_count')
  if (count !== null) return count === '1'
  const [first] = words(ticket, 'article_ids')
  return first === undefined || first === text(article, 'id')
}

function kindOf(ticket: Fields, isFirst: boolean, status: Status | null): EventKind {
  const [made, changed] = [time(ticket, 'created_at'), time(ticket, 'updated_at')]
  if (text(ticket, 'state')?.toLowerCase() === 'removed') return 'deleted'
  if (status === 'closed') return 'solved'
  const isFresh = made !== null && changed !== null && changed - made < FRESH_MS
  return isFresh && isFirst && text(ticket, 'article_count') !== null ? 'created' : 'updated'
}

function commentOf(article: Fields) {
  const isInternal = flag(article, 'internal')
  const sender = text(at(article, 'sender'), 'name') ?? text(article, 'sender')
  return {
    id: text(article, 'id'),
    public: isInternal === null ? null : !isInternal,
    // "Emma Taylor <emma@example.com>"
    author: text(article, 'from')?.split('<')[0]?.replaceAll('"', '').trim() || nameOf(at(article, 'created_by')),
    authorId: text(article, 'origin_by_id', 'created_by_id'),
    byStaff: meaning({ agent: true, customer: false }, sender),
  }
}

const nameOf = (person: Fields): string | null =>
  [text(person, 'firstname'), text(person, 'lastname')].filter((name) => name !== null).join(' ') || null

const attachmentsOf = (article: Fields) =>
  list(article, 'attachments').map((file) => ({
    name: text(file, 'filename', 'name'),
    size: text(file, 'size'),
    url: text(file, 'url'),
  }))
