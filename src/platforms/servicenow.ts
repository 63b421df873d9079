import { at, type Fields, has, list, skip, text, timeFrom } from '../core/fields.ts'
import { newestEntry } from '../core/journal.ts'
import { isObject } from '../core/json.ts'
import { definePlatform, ignored, type NativeComment, type NativeEvent, type NativeTicket } from '../core/native.ts'
import { priorityFrom, type PriorityScale } from '../core/priority.ts'
import { type Rich, richHtml } from '../core/rich.ts'
import { headerText, sharedToken, standardWebhooks } from '../core/signature.ts'
import { type EventKind, isResolved, type Status, STATUSES } from '../core/ticket.ts'

/** 1 is the highest: the other way round than for some. */
const PRIORITIES: PriorityScale = {
  1: 'urgent',
  2: 'high',
  3: 'medium',
  4: 'low',
  5: 'low',
  planning: 'low',
}

/** Of impact and urgency, 1 is the highest too. Without the other, urgency alone must not page anybody. */
const LEVELS = ['high', 'medium', 'low'] as const

const INCIDENT_STATES: ReadonlyMap<string, Status> = new Map([
  ['1', 'new'],
  ['2', 'open'],
  ['3', 'pending'],
  ['6', 'resolved'],
  ['7', 'closed'],
  ['8', 'closed'],
])

/** Requests, tasks, cases, changes and problems: 3 is on hold for an incident alone. */
const OTHER_STATES: ReadonlyMap<string, Status> = new Map([
  ['-5', 'pending'],
  ...['-4', '-3', '-2', '-1', '0', '1', '2', '10', '101', '102', '103', '104'].map((state) => [state, 'open'] as const),
  ['18', 'pending'],
  ['6', 'resolved'],
  ['106', 'resolved'],
  ...['3', '4', '7', '107'].map((state) => [state, 'closed'] as const),
])

/** How the labels of states begin. */
const LABELS: Readonly<Record<Status, readonly string[]>> = {
  new: ['new'],
  open: ['open', 'reopen', 'active', 'assigned', 'in progress', 'work in progress'],
  pending: ['pending', 'on hold', 'awaiting'],
  resolved: ['resolved'],
  closed: ['closed', 'complete', 'cancel'],
}

const NUMBERS = ['number', 'incident_number', 'case_number', 'request_number', 'task_number', 'ticket_number']
const STATES = ['state', 'incident_state']
const TABLES = ['table', 'table_name', 'sys_class_name']
const INSTANCES = ['instance', 'instance_name', 'instance_url']
const OPERATIONS = ['operation', 'action', 'event', 'event_type']

/** Where scripts put the record, where it is not the body itself. */
const WRAPPERS = ['result', 'record', 'records', 'current', 'new_values', 'incident', 'case', 'ticket', 'data']

/** Who needs help, before who only wrote it down. */
const CALLERS = 'caller_id caller requested_for contact consumer requested_by requester reported_by opened_by'.split(
  ' ',
)
const EMAILS = CALLERS.flatMap((key) => [`${key}.email`, `${key}_email`, `${key.replace(/_id$/, '')}_email`]).concat([
  'customer_email',
  'user_email',
  'email',
  'opened_by',
])

/** Tables of records that nobody asks for help with: users, assets, articles, approvals. */
const NO_TICKETS = /^(?:sys|cmdb|cmn_|alm_|ast_|core_|kb_|contract|task_sla)/

/**
 * There is no fixed format: an administrator scripts a body out of raw values, of display values, or of a record as
 * the Table API shows it, with or without a wrapper around it.
 */
export default definePlatform({
  id: 'servicenow',
  label: 'ServiceNow',
  aliases: ['service_now', 'snow'],
  kinds: ['created', 'updated', 'commented', 'solved', 'reopened', 'deleted', 'ignored'],
  userAgent: 'ServiceNow',
  recognises: (payload) => {
    const record = recordOf(payload)
    const said = (...keys: string[]) => keys.map((key) => plain(record[key]) ?? plain(payload[key]))
    const hasId = said('sys_id').some(isSysId)
    if (said(...NUMBERS).some((number) => isNumber(number, hasId))) {
      return hasId || 'short_description' in record || 'incident_number' in record
    }
    return hasId && ('short_description' in record || said('table', 'sys_class_name').some((name) => name !== null))
  },

  // ServiceNow signs nothing by itself; a script can send a token, or sign as Standard Webhooks has it.
  schemes: { token: sharedToken(), 'standard-webhooks': standardWebhooks },
  priorities: PRIORITIES,
  noise: /^(link|sys_domain|sys_domain_path|sys_mod_count|upon_approval|upon_reject)$/,

  deliveryId: ({ headers, payload }) => {
    const record = recordOf(payload)
    const version = plain(record['sys_mod_count']) ?? plain(record['sys_updated_on'])
    const id = plain(record['sys_id'])
    return headerText(headers, 'webhook-id') ?? (id === null || version === null ? null : `${id}:${version}`)
  },

  events: (body) => {
    if (Array.isArray(body)) return body
    if (!isObject(body)) return null
    for (const key of ['result', 'records']) {
      const records = body[key]
      if (!Array.isArray(records)) continue
      const about = [...OPERATIONS, ...TABLES, ...INSTANCES].flatMap((name) =>
        Object.hasOwn(body, name) ? [[name, body[name]]] : [],
      )
      return records.map((record) => Object.fromEntries([...about, [key, record]]))
    }
    return null
  },

  read: (body) => {
    const wrapper = wrapperOf(body.value)
    return readRecord(wrapper === undefined ? [body] : [at(body, wrapper), body], body)
  },
})

type Json = Readonly<Record<string, unknown>>

const first = (value: unknown): unknown => (Array.isArray(value) ? value[0] : value)
const wrapperOf = (payload: Json) => WRAPPERS.find((key) => isObject(first(payload[key])))

/** The record, before anything is read. */
function recordOf(payload: Json): Json {
  const wrapper = wrapperOf(payload)
  const record = wrapper === undefined ? null : first(payload[wrapper])
  return isObject(record) ? record : payload
}

/** What is stored in a cell, before anything is read. */
function plain(said: unknown): string | null {
  const value = isObject(said) ? (said['value'] ?? said['display_value']) : said
  return typeof value === 'string' || typeof value === 'number' ? String(value) : null
}

const isSysId = (word: string | null): boolean => word !== null && /^[0-9a-f]{32}$/i.test(word)

const isNumber = (word: string | null, hasId: boolean): boolean => {
  if (word === null || word.length > 40) return false
  return (hasId ? /^[A-Z]{2,10}\d{4,}$/i : /^(?:INC|REQ|RITM|SCTASK|CTASK|CHG|PRB|PTASK|TASK|CS)\d{4,}$/i).test(word)
}

/** The record and what is wrapped around it: either may say a thing. */
type Layers = readonly Fields[]

/** A cell is a value, `{link, value}`, `{display_value, value}`, or an object that a script has made of it. */
function cell(layers: Layers, keys: readonly string[], parts: readonly string[]): string | null {
  for (const layer of layers) {
    for (const key of keys) {
      const inner = at(layer, key)
      const found = text(inner, ...parts) ?? text(layer, key)
      if (found !== null && (has(inner, 'value') || has(inner, 'display_value'))) skip(layer, key)
      if (found !== null) return found
    }
  }
  return null
}

const shown = (layers: Layers, ...keys: string[]) =>
  cell(layers, keys, ['display_value', 'name', 'value', 'email', 'sys_id'])
const stored = (layers: Layers, ...keys: string[]) => cell(layers, keys, ['value', 'sys_id', 'display_value'])

function readRecord(layers: Layers, body: Fields): NativeEvent {
  const table = stored(layers, ...TABLES)?.toLowerCase() ?? null
  const instance = instanceOf(layers)
  if (table === 'sys_journal_field') return readJournal(layers, instance)
  if (table !== null && NO_TICKETS.test(table)) return ignored('not_a_ticket')

  const operation = text(body, ...OPERATIONS)?.toLowerCase() ?? null
  const key = stored(layers, ...NUMBERS)
  const isIncident = table === null ? /^INC/i.test(key ?? 'INC') : table === 'incident'
  const status = statusOf(layers, operation, isIncident)
  const before = stateOf([at(body, 'previous'), at(body, 'old_values')], isIncident, ...STATES)
  const wasDone = isResolved(before ?? stateOf(layers, isIncident, 'previous_state', 'old_state'))
  const caller = callerOf(layers)
  const comment = commentOf(layers, isResolved(status), caller.name)
  const title = shown(layers, 'short_description', 'title', 'subject')
  const isComment = comment !== null && title === null && status === null
  const kind = kindOf({ operation: operation ?? operationOf(layers), status, wasDone, isComment })
  const ticket = ticketOf(layers, table, instance)
  return {
    kind,
    ticket: {
      ...ticket,
      key,
      id: ticket.id ?? key,
      title,
      status: kind === 'deleted' ? 'closed' : status,
      userId: caller.id,
      email: caller.email,
      updatedAt: kind === 'commented' && ticket.description.text === null ? null : updatedAt(layers),
      metadata: {
        ...ticket.metadata,
        requester_name: caller.name,
        // One event has one comment: the note that was written with it is not lost.
        work_notes: comment?.public === true ? shown(layers, 'work_notes', 'work_note') : null,
      },
    },
    comment,
  }
}

function ticketOf(layers: Layers, table: string | null, instance: string | null) {
  const id = stored(layers, 'sys_id', 'incident_sys_id', 'record_sys_id')
  return {
    account: instance,
    id,
    description: rich(shown(layers, 'description')),
    category: shown(layers, 'category', 'cat_item'),
    priority: priorityOf(layers),
    metadata: {
      status: shown(layers, ...STATES),
      table,
      url: shown(layers, 'url', 'record_url', 'incident_url', 'link') ?? urlOf(layers, id, table ?? 'task'),
      subcategory: shown(layers, 'subcategory'),
      impact: shown(layers, 'impact'),
      urgency: shown(layers, 'urgency'),
      channel: shown(layers, 'contact_type'),
      assignment_group: shown(layers, 'assignment_group'),
      opened_by: shown(layers, 'opened_by'),
      assigned_to: shown(layers, 'assigned_to'),
      company: shown(layers, 'company', 'account'),
      close_code: shown(layers, 'close_code'),
      close_notes: shown(layers, 'close_notes'),
      attachments: attachmentsOf(layers),
    },
  } satisfies NativeTicket
}

/** `acme` of https://acme.service-now.com/, which only some scripts send. */
const instanceOf = (layers: Layers): string | null =>
  stored(layers, ...INSTANCES)
    ?.toLowerCase()
    .replace(/^https?:\/\//, '')
    .split('/')[0]
    ?.replace(/\.service-now\.com$/, '') ?? null

/** The form of the record, where its instance is named or has links to other records. */
function urlOf(layers: Layers, id: string | null, table: string): string | null {
  const instance = instanceOf(layers)
  const links = layers.flatMap((layer) => [...CALLERS, 'assignment_group'].map((key) => text(at(layer, key), 'link')))
  const host =
    instance === null
      ? links.flatMap((link) => /^https:\/\/([\w.-]+)\/api\//.exec(link ?? '')?.[1] ?? [])[0]
      : `${instance}${instance.includes('.') ? '' : '.service-now.com'}`
  return host === undefined || !isSysId(id) || !/^\w+$/.test(table) ? null : `https://${host}/${table}.do?sys_id=${id}`
}

function attachmentsOf(layers: Layers) {
  return layers.flatMap((layer) =>
    list(layer, 'attachments').map((file) => {
      skip(file, 'content', 'contents', 'base64', 'payload', 'data')
      return {
        name: text(file, 'file_name', 'name'),
        size: Number(text(file, 'size_bytes', 'size')) || null,
        url: text(file, 'download_link', 'url'),
      }
    }),
  )
}

/** A priority's label, its digit where the label is translated, or else what impact and urgency make of it. */
function priorityOf(layers: Layers) {
  const said = shown(layers, 'priority')
  if (said !== null) {
    const value = stored(layers, 'priority')
    const digit = /^(\d) ?-/.exec(said)?.[1] ?? null
    const is = priorityFrom(said, PRIORITIES) ?? priorityFrom(value, PRIORITIES) ?? priorityFrom(digit, PRIORITIES)
    return is === null ? said : { is, said }
  }
  const [impact, urgency] = [levelOf(layers, 'impact'), levelOf(layers, 'urgency')]
  if (urgency === null) return null
  if (impact === null) return { is: LEVELS[urgency - 1] ?? null, said: `urgency ${urgency}` }
  // The platform's own matrix: 1 and 1 make 1, 3 and 3 make 5.
  const is = priorityFrom(String(impact + urgency - 1), PRIORITIES)
  return { is, said: `impact ${impact}, urgency ${urgency}` }
}

function levelOf(layers: Layers, key: string): number | null {
  const said = stored(layers, key)?.toLowerCase() ?? ''
  const [digit] = /^[1-3](?= ?-|$)/.exec(said) ?? []
  return Number(digit ?? LEVELS.findIndex((level) => level === said) + 1) || null
}

function statusOf(layers: Layers, operation: string | null, isIncident: boolean): Status | null {
  const status = stateOf(layers, isIncident, ...STATES)
  if (status !== null) return status
  if (operation !== null && /resolved?$/.test(operation)) return 'resolved'
  const isOver =
    stored(layers, 'active')?.toLowerCase() === 'false' || (operation !== null && /closed?$/.test(operation))
  return isOver ? 'closed' : null
}

/** The label before the number: tables have numbers of their own. */
function stateOf(layers: Layers, isIncident: boolean, ...keys: string[]): Status | null {
  const said = shown(layers, ...keys)?.toLowerCase() ?? ''
  const label = said.replace(/^\d+ ?- ?/, '')
  const status = STATUSES.find((one) => LABELS[one].some((start) => label.startsWith(start)))
  if (status !== undefined) return status
  return (isIncident ? INCIDENT_STATES : OTHER_STATES).get(stored(layers, ...keys) ?? '') ?? null
}

/** A record that was never changed has just been made. */
const operationOf = (layers: Layers): string | null => (stored(layers, 'sys_mod_count') === '0' ? 'insert' : null)

type Told = { operation: string | null; status: Status | null; wasDone: boolean; isComment: boolean }

function kindOf({ operation, status, wasDone, isComment }: Told): EventKind {
  const says = (pattern: RegExp) => operation !== null && pattern.test(operation)
  if (says(/delet/)) return 'deleted'
  if (says(/insert|create/)) return 'created'
  if (isComment || says(/comment|note/)) return 'commented'
  if (isResolved(status)) return 'solved'
  if (says(/reopen/) || (wasDone && status !== null)) return 'reopened'
  return 'updated'
}

/**
 * Raw times are UTC. Beside labels they are in the zone of whoever made the change, which differs from event to event:
 * they would put a newer event before an older one, and so count for nothing.
 */
function updatedAt(layers: Layers): number | null {
  const isRaw = ['priority', 'impact', 'urgency', ...STATES].every((key) => /^-?\d*$/.test(stored(layers, key) ?? ''))
  return isRaw ? timeFrom(stored(layers, 'sys_updated_on', 'updated_on', 'updated_at')) : null
}

type Caller = { id: string | null; name: string | null; email: string | null }

/** One person's id, name and address, from whichever fields a script has put them in. */
function callerOf(layers: Layers): Caller {
  const key = CALLERS.find((one) => shown(layers, one) !== null) ?? 'caller_id'
  const ids = [stored(layers, key), stored(layers, `${key}.sys_id`, `${key}_sys_id`, 'caller_sys_id')]
  const names = [shown(layers, key), shown(layers, `${key}.name`, `${key}_name`, 'caller_name', 'requester_name')]
  const emails = [...names, cell(layers, [key], ['email']), shown(layers, `${key}.email`, `${key}_email`, ...EMAILS)]
  return {
    id: ids.find(isSysId) ?? null,
    name: names.find((name) => name !== null && !isSysId(name) && !isAddress(name)) ?? null,
    email: emails.find(isAddress) ?? null,
  }
}

const isAddress = (word: string | null): boolean => word?.includes('@') === true

/** What was written last, for the customer before for colleagues; where nothing was, how the ticket was solved. */
function commentOf(layers: Layers, isSolved: boolean, caller: string | null): NativeComment | null {
  const said = (...keys: string[]) => cell(layers, keys, ['display_value', 'value', 'body', 'text'])
  const entries = [
    entryOf(said('comments', 'additional_comments', 'comment'), true),
    entryOf(said('work_notes', 'work_note'), false),
    entryOf(said('comments_and_work_notes'), null),
  ]
  const [entry] = entries.filter((one) => one !== null).toSorted((a, b) => (b.id ?? '').localeCompare(a.id ?? ''))
  const updater = shown(layers, 'sys_updated_by', 'updated_by')
  if (entry === undefined) {
    return isSolved ? { body: rich(shown(layers, 'close_notes')), author: updater, byStaff: true } : null
  }
  const author = entry.author ?? updater
  const isCaller = author !== null && author === caller
  return { ...entry, author, byStaff: entry.public ? (isCaller ? false : null) : true }
}

/** Where both kinds are mixed, only the heading tells whether an entry is public. */
function entryOf(journal: string | null, isPublic: boolean | null) {
  if (journal === null) return null
  const { sentAt, author, label, body } = newestEntry(journal)
  return { id: sentAt, author, public: isPublic ?? /^(?!work).*comment/i.test(label ?? ''), body: rich(body) }
}

/** Journals keep HTML between `[code]` marks. */
function rich(said: string | null): Rich {
  const plainer = said?.replaceAll(/\[\/?code\]/g, '').trim() ?? ''
  return plainer === '' ? { text: null } : richHtml(plainer)
}

/** A rule on the journal itself: one comment or work note, and the record that it was written on. */
function readJournal(layers: Layers, account: string | null): NativeEvent {
  const isPublic = stored(layers, 'element') === 'comments'
  return {
    kind: 'commented',
    ticket: { account, id: stored(layers, 'element_id') },
    comment: {
      id: stored(layers, 'sys_id'),
      body: rich(shown(layers, 'value')),
      public: isPublic,
      author: shown(layers, 'sys_created_by'),
      byStaff: isPublic ? null : true,
    },
  }
}
