import { isObject, jsonOrNull } from '../core/json.ts'
import { timeFrom } from '../core/fields.ts'
import { fail, failFields } from '../core/errors.ts'
import { isUnrendered } from '../core/native.ts'
import type { Incoming, Platform } from '../core/platform.ts'
import { priorityFrom } from '../core/priority.ts'
import { sharedToken, standardWebhooks } from '../core/signature.ts'
import { cleanText, clip, isEmail, METADATA_LIMIT, NAME_LIMIT, TITLE_LIMIT } from '../core/text.ts'

/** What is a field of the flat form, whatever it holds. */
const NAMES = new Set(
  'title subject description body category priority customer_email user_email user_id id platform updated_at metadata'.split(
    ' ',
  ),
)

/** What a source's redaction left of an address, where a delivery is played again. */
const REDACTED = /^\[[a-z0-9_-]{1,30}\]$/

type Flat = ReturnType<typeof readFlat>

/** Each field, cleaned; null where it is blank or not there. Throws `malformed`, naming all that are not valid. */
function readFlat(payload: Incoming['payload']) {
  const faults: { field: string; message: string }[] = []
  const refuse = (field: string, what: string): null => {
    faults.push({ field, message: `${field} ${what}` })
    return null
  }

  /** Numbers and booleans are written out, a structure is refused. */
  const text = (field: string): string | null => {
    const value = payload[field]
    if (value === undefined || value === null) return null
    if (typeof value !== 'object') return cleanText(String(value)) || null
    return refuse(field, `must be text, not ${Array.isArray(value) ? 'an array' : 'an object'}`)
  }
  const name = (field: string): string | null => {
    const value = text(field)
    return value !== null && value.length > NAME_LIMIT
      ? refuse(field, `is longer than ${NAME_LIMIT} characters`)
      : value
  }
  const email = (field: string): string | null => {
    const value = text(field)
    if (value === null || isEmail(value)) return value
    return REDACTED.test(value) ? null : refuse(field, 'is not a valid e-mail address')
  }
  /** An object, or the JSON text of one, which is all that a form can send. */
  const object = (field: string): Record<string, unknown> | null => {
    const value = payload[field]
    if (value === undefined || value === null || value === '') return null
    const read = typeof value === 'string' ? jsonOrNull(value) : value
    if (!isObject(read)) return refuse(field, 'must be an object')
    const isLarge = JSON.stringify(read).length > METADATA_LIMIT
    return isLarge ? refuse(field, `is larger than ${METADATA_LIMIT / 1024} KiB`) : read
  }

  const flat = {
    title: text('title'),
    subject: text('subject'),
    description: text('description'),
    body: text('body'),
    category: name('category'),
    priority: text('priority'), // never a reason to refuse
    customer_email: email('customer_email'),
    user_email: email('user_email'),
    user_id: name('user_id'),
    id: name('id'),
    platform: name('platform'),
    updated_at: text('updated_at'),
    metadata: object('metadata'),
  }
  if (faults.length > 0) failFields(faults)
  return flat
}

/** The house format of the specification: flat, and the last resort for whatever no other platform knows. */
export default {
  id: 'flat',
  label: 'Flat form',
  kinds: ['created', 'updated', 'ignored'],
  recognises: () => true,
  isCertain: (payload) => {
    for (const key in payload) {
      if (!NAMES.has(key) || (typeof payload[key] === 'object' && key !== 'metadata')) return false
    }
    return true
  },
  schemes: { token: sharedToken(), 'standard-webhooks': standardWebhooks },

  read: (incoming) => {
    const draft = toDraft(readFlat(incoming.payload), incoming)
    return isUnrendered(draft.title) || isUnrendered(draft.externalId)
      ? { kind: 'ignored', reason: 'unrendered_template' }
      : { kind: 'updated', draft }
  },
} satisfies Platform

function toDraft(fields: Flat, { payload, scaleOf }: Incoming) {
  const wholeTitle = fields.title ?? fields.subject ?? fail('malformed', 'Title or subject is required')
  const description = fields.description ?? fields.body ?? fail('malformed', 'Description or body is required')
  const title = clip(wholeTitle, TITLE_LIMIT)
  const platform = fields.platform?.toLowerCase() ?? ''
  // A bare digit means what the named sender means by it; a word means the same everywhere.
  const isDigit = fields.priority?.length === 1
  const priority = priorityFrom(fields.priority, isDigit ? scaleOf?.(platform) : undefined)
  return {
    platform,
    account: '',
    externalId: fields.id,
    title,
    description,
    category: fields.category?.toLowerCase() ?? null,
    priority,
    status: null,
    userId: fields.user_id,
    userEmail: fields.customer_email ?? fields.user_email,
    sentUpdatedAt: timeFrom(fields.updated_at),
    event: null,
    metadata: metadataOf(fields, {
      platform: fields.platform,
      external_id: fields.id,
      original_priority: fields.priority?.toLowerCase() === priority ? null : fields.priority,
      full_title: title === wholeTitle ? null : wholeTitle,
      unmapped: leftOver(payload, fields),
    }),
  }
}

/** The sender's metadata with ours: named first so that it comes first, and last so that it wins over the same name. */
function metadataOf(fields: Flat, ours: Record<string, unknown>): Record<string, unknown> {
  const said: Record<string, unknown> = {}
  for (const key in ours) if (ours[key] !== null && ours[key] !== undefined) said[key] = ours[key]
  return { ...said, ...fields.metadata, ...said }
}

const PAIRS = [
  ['title', 'subject'],
  ['description', 'body'],
  ['customer_email', 'user_email'],
] as const

/** What the ticket has no place for: unknown fields, and the second of a pair when it says something else. */
function leftOver(payload: Incoming['payload'], fields: Flat): Record<string, unknown> | null {
  const entries: [string, unknown][] = []
  for (const key in payload) if (!NAMES.has(key)) entries.push([key, payload[key]])
  if (fields.updated_at) entries.push(['updated_at', fields.updated_at])
  for (const [first, second] of PAIRS) {
    if (fields[first] && fields[second] && fields[first] !== fields[second]) entries.push([second, fields[second]])
  }
  // fromEntries defines each key, so that one named __proto__ stays data.
  return entries.length === 0 ? null : Object.fromEntries(entries)
}
