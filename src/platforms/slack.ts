import { at, type Fields, fieldsOf, flag, has, list, skip, text } from '../core/fields.ts'
import { isObject } from '../core/json.ts'
import { definePlatform, ignored, type NativeEvent, type NativeTicket } from '../core/native.ts'
import { hmac, sharedToken, timed } from '../core/signature.ts'

const SENT_AT = 'x-slack-request-timestamp'

/** Sent by people although they have a subtype: with a file, from a thread to the channel, with /me. */
const SPOKEN = new Set(['file_share', 'thread_broadcast', 'me_message'])

const INTERACTIONS = new Set([
  'view_submission',
  'view_closed',
  'message_action',
  'shortcut',
  'block_actions',
  'block_suggestion',
])

const USAGE = 'Say what it is about, such as: /ticket urgent: the VPN is down'

/** The fields of a form, by the names that people give them. */
const FIELDS = {
  title: ['title', 'subject', 'summary'],
  description: ['description', 'details', 'body', 'message'],
  priority: ['priority', 'urgency', 'severity'],
  category: ['category', 'topic', 'type'],
  email: ['email', 'mail'],
} as const

/** Slash commands, forms (modals), the shortcut on a message, and messages by the Events API. */
export default definePlatform({
  id: 'slack',
  label: 'Slack',
  kinds: ['created', 'commented', 'handshake', 'ignored'],
  headers: ['x-slack-signature', SENT_AT, 'x-slack-retry-num'],
  userAgent: 'Slackbot',
  recognises: (payload) =>
    isCommand(payload) ||
    isInteraction(payload) ||
    isFromEvents(payload) ||
    ('ssl_check' in payload && 'token' in payload),

  schemes: {
    signature: hmac({
      algorithm: 'sha256',
      encoding: 'hex',
      header: 'x-slack-signature',
      prefix: 'v0=',
      ...timed(SENT_AT, (sentAt, { body }) => [`v0:${sentAt}:`, body]),
    }),
    token: sharedToken(),
  },

  deliveryId: ({ payload }) => {
    const body = fieldsOf(payload)
    return text(body, 'event_id') ?? text(at(body, 'view'), 'id') ?? text(body, 'trigger_id')
  },

  // A token and a response_url let whoever has them speak as Slack, or to the user.
  noise: /^(?:token|response_urls?|hash|blocks|bot_profile|authorizations|event_context|context_\w+|client_msg_id)$/,

  read: (body) => {
    skip(body, 'token', 'response_url', 'api_app_id', 'is_enterprise_install', 'enterprise', 'is_ext_shared_channel')
    skip(body, 'trigger_id', 'action_ts', 'message_ts', 'team', 'user')
    const type = text(body, 'type')
    if (flag(body, 'ssl_check')) return ignored('ping')
    if (type === 'url_verification') return { kind: 'handshake', answer: { challenge: text(body, 'challenge') } }
    if (has(body, 'command')) return readCommand(body)
    if (type === 'view_submission') return readForm(body)
    if (type === 'message_action') return readShortcut(body)
    return type === 'event_callback' ? readEvent(body) : ignored('no_change')
  },

  // A command shows the text of its answer to who gave it; a form closes on an answer of nothing.
  answer: ({ payload }, ticket) => {
    if (!('command' in payload)) return payload['type'] === 'event_callback' ? ticket : ''
    const made = fieldsOf(JSON.parse(ticket))
    const said = escaped(`Ticket #${text(made, 'id')}: ${text(made, 'title')}`)
    return `{"response_type":"ephemeral","text":${JSON.stringify(said)},${ticket.slice(1)}`
  },
})

const isCommand = (payload: Readonly<Record<string, unknown>>) =>
  typeof payload['command'] === 'string' &&
  payload['command'].startsWith('/') &&
  ['team_id', 'trigger_id', 'response_url'].some((key) => key in payload)

const isInteraction = ({ type, team, user }: Readonly<Record<string, unknown>>) =>
  typeof type === 'string' && INTERACTIONS.has(type) && (isObject(team) || isObject(user))

const isFromEvents = (payload: Readonly<Record<string, unknown>>) =>
  payload['type'] === 'event_callback'
    ? 'team_id' in payload && 'event' in payload
    : payload['type'] === 'url_verification' && 'challenge' in payload

function readCommand(body: Fields): NativeEvent {
  const said = plain(text(body, 'text'))
  if (said === null || said.toLowerCase() === 'help') {
    return { kind: 'handshake', answer: { response_type: 'ephemeral', text: USAGE } }
  }
  return {
    kind: 'created',
    ticket: {
      account: text(body, 'team_id', 'enterprise_id'),
      id: text(body, 'trigger_id'),
      description: said,
      priority: priorityIn(said),
      userId: text(body, 'user_id'),
      metadata: {
        via: 'slash_command',
        command: text(body, 'command'),
        requester_name: text(body, 'user_name'),
        team: text(body, 'team_domain'),
        channel: text(body, 'channel_name'),
        channel_id: text(body, 'channel_id'),
      },
    },
  }
}

function readForm(body: Fields): NativeEvent {
  const view = at(body, 'view')
  const { title, description, priority, category, email, others } = formOf(at(view, 'state', 'values'))
  if (title === null && description === null) return ignored('no_change')
  skip(
    view,
    'state',
    'type',
    'title',
    'submit',
    'close',
    'app_id',
    'bot_id',
    'team_id',
    'root_view_id',
    'previous_view_id',
  )
  return {
    kind: 'created',
    ticket: {
      ...whoseOf(body),
      id: text(view, 'id') ?? text(body, 'trigger_id'),
      title,
      description: description ?? title,
      priority: priority ?? priorityIn(title ?? description),
      category,
      email,
      metadata: {
        ...whoseOf(body).metadata,
        via: 'modal',
        callback_id: text(view, 'callback_id'),
        fields: Object.fromEntries(others),
      },
    },
  }
}

/** A message that somebody made a ticket of. Its thread is the ticket's, as with the messages of the Events API. */
function readShortcut(body: Fields): NativeEvent {
  const message = at(body, 'message')
  const channel = at(body, 'channel')
  const { userId, metadata, account } = whoseOf(body)
  const said = plain(text(message, 'text'))
  skip(message, 'text', 'type', 'team')
  return {
    kind: 'created',
    ticket: {
      account,
      id: idOf(text(channel, 'id'), text(message, 'ts') ?? text(body, 'message_ts')),
      description: said,
      priority: priorityIn(said),
      userId: text(message, 'user') ?? userId,
      metadata: {
        via: 'message_shortcut',
        team: metadata['team'],
        reported_by: metadata['requester_name'],
        reported_by_id: userId,
        channel: text(channel, 'name'),
        channel_id: text(channel, 'id'),
        callback_id: text(body, 'callback_id'),
        attachments: filesOf(message),
      },
    },
  }
}

function readEvent(body: Fields): NativeEvent {
  const event = at(body, 'event')
  const type = text(event, 'type')
  if (type !== 'message' && type !== 'app_mention') return ignored('not_a_ticket')
  if (!isByPerson(event)) return ignored('own_event')
  const files = filesOf(event)
  const written = text(event, 'text')
  const said = plain(type === 'app_mention' ? (written?.replace(/^<@[^<>]*>/, '') ?? null) : written) ?? namesOf(files)
  if (said === null) return ignored('no_change')
  const [ts, thread] = [text(event, 'ts'), text(event, 'thread_ts')]
  const channel = text(event, 'channel')
  const userId = text(event, 'user')
  const isReply = thread !== null && thread !== ts
  skip(body, 'type', 'event_id', 'event_time')
  skip(event, 'type', 'text', 'event_ts', 'team')
  const ticket: NativeTicket = {
    account: text(body, 'team_id') ?? text(body, 'enterprise_id'),
    id: idOf(channel, isReply ? thread : ts),
    metadata: { via: type, channel_id: channel, channel_type: text(event, 'channel_type') },
  }
  if (isReply) {
    return {
      kind: 'commented',
      ticket: { ...ticket, standInDescription: said },
      comment: { id: ts, body: said, authorId: userId },
    }
  }
  const metadata = { ...ticket.metadata, attachments: files }
  return { kind: 'created', ticket: { ...ticket, description: said, priority: priorityIn(said), userId, metadata } }
}

/** Not a bot, not Slack itself, and no note of the channel such as that somebody joined it. */
function isByPerson(event: Fields): boolean {
  const subtype = text(event, 'subtype')
  const isBot = text(event, 'bot_id') !== null || text(event, 'user') === 'USLACKBOT'
  return !isBot && (subtype === null || SPOKEN.has(subtype))
}

const namesOf = (files: { name: string | null }[]) => files.map(({ name }) => `[${name ?? 'file'}]`).join(' ') || null

const idOf = (channel: string | null, ts: string | null) =>
  channel === null || ts === null ? null : `${channel}:${ts}`

function whoseOf(body: Fields) {
  const team = at(body, 'team')
  const user = at(body, 'user')
  return {
    account: text(team, 'id') ?? text(user, 'team_id'),
    userId: text(user, 'id'),
    metadata: { requester_name: text(user, 'name', 'username'), team: text(team, 'domain') },
  }
}

const filesOf = (message: Fields) =>
  list(message, 'files').map((file) => ({
    name: text(file, 'name', 'title'),
    size: text(file, 'size'),
    url: text(file, 'permalink', 'url_private'),
  }))

type Field = { names: string[]; value: string; isTyped: boolean }

/** A form's fields have whatever names its author gave them; of those unknown, the first two typed in are its text. */
function formOf(values: Fields) {
  const left = fieldsIn(values)
  const take = (isIt: (field: Field) => boolean): string | null => {
    const found = left.findIndex(isIt)
    return found < 0 ? null : (left.splice(found, 1)[0]?.value ?? null)
  }
  const named = (words: readonly string[]) =>
    take(({ names }) => names.some((name) => words.includes(name.toLowerCase()))) ??
    take(({ names }) => names.flatMap(partsOf).some((part) => words.includes(part)))
  const [title, description] = [named(FIELDS.title), named(FIELDS.description)]
  const [priority, category, email] = [named(FIELDS.priority), named(FIELDS.category), named(FIELDS.email)]
  const typed = () => take(({ isTyped }) => isTyped)
  return {
    title: title ?? (description === null ? typed() : null),
    description: description ?? typed(),
    priority,
    category,
    email,
    others: left.map(({ names, value }) => [names.join('.'), value] as const),
  }
}

/** `ticket_title`, `title-input` and `ticketTitle` are made of words. */
const partsOf = (name: string) => name.split(/[^A-Za-z]+|(?=[A-Z])/).map((part) => part.toLowerCase())

/** `{block: {action: {type, value}}}`, one level after the other. */
function fieldsIn(values: Fields): Field[] {
  return Object.keys(values.value).flatMap((block) =>
    Object.keys(at(values, block).value).flatMap((action) => {
      const element = at(values, block, action)
      const value = valueOf(element)
      return value === null
        ? []
        : { names: [block, action], value, isTyped: text(element, 'type')?.endsWith('text_input') ?? false }
    }),
  )
}

function valueOf(element: Fields): string | null {
  const chosen = [at(element, 'selected_option'), ...list(element, 'selected_options')].flatMap((option) =>
    Object.keys(option.value).length === 0 ? [] : (text(option, 'value') ?? text(at(option, 'text'), 'text') ?? []),
  )
  if (chosen.length > 0) return chosen.join(', ')
  const picked = text(element, 'value', 'selected_user', 'selected_channel', 'selected_conversation', 'selected_date')
  return picked ?? plain(richText(element.value['rich_text_value']).trim())
}

/** The words of Slack's rich text, a line for each of its sections. */
function richText(node: unknown): string {
  if (!isObject(node)) return ''
  const own = typeof node['text'] === 'string' ? node['text'] : ''
  const inner = Array.isArray(node['elements']) ? node['elements'].map(richText) : []
  return own + inner.join(node['type'] === 'rich_text_section' ? '' : '\n')
}

const PREFIX = /^\s*(urgent|critical|high|medium|normal|low)\s*:/i

const priorityIn = (said: string | null): string | null => PREFIX.exec(said ?? '')?.[1]?.toLowerCase() ?? null

/** Slack's marks as a reader sees them: who and what is linked, and the three characters that it escapes. */
function plain(said: string | null): string | null {
  if (said === null) return null
  const linked = said.replace(/<([^<>|]+)(?:\|([^<>]*))?>/g, (_mark, target: string, label?: string) =>
    linkOf(target, label),
  )
  return linked.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&').trim() || null
}

function linkOf(target: string, label = ''): string {
  if (target.startsWith('#')) return `#${label || target.slice(1)}`
  if (target.startsWith('@')) return `@${label || target.slice(1)}`
  if (target.startsWith('!')) return `@${(label || target.slice(1)).replace(/^@/, '')}`
  const address = target.replace(/^mailto:/, '')
  return label === '' || label === address ? address : `${label} (${address})`
}

const escaped = (said: string) => said.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
