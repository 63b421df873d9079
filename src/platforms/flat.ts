import { z } from 'zod'

import { isObject, jsonOrNull } from '../core/json.ts'
import { timeFrom } from '../core/fields.ts'
import { fail, failFields } from '../core/errors.ts'
import { isUnrendered } from '../core/native.ts'
import type { Incoming, Platform } from '../core/platform.ts'
import { priorityFrom } from '../core/priority.ts'
import { sharedToken, standardWebhooks } from '../core/signature.ts'
import { cleanText, clip, isEmail, METADATA_LIMIT, NAME_LIMIT, TITLE_LIMIT } from '../core/text.ts'

/** A field that holds text: numbers and booleans are written out, blank is absent, a structure is refused. */
const text = (field: string) =>
  z
    .unknown()
    .optional()
    .transform((value, context) => {
      if (value === undefined || value === null) return null
      if (typeof value !== 'object') return cleanText(String(value)) || null
      context.addIssue(`${field} must be text, not ${Array.isArray(value) ? 'an array' : 'an object'}`)
      return z.NEVER
    })

const name = (field: string) =>
  text(field).refine(
    (value) => value === null || value.length <= NAME_LIMIT,
    `${field} is longer than ${NAME_LIMIT} characters`,
  )

/** What a source's redaction left of an address, where a delivery is played again. */
const REDACTED = /^\[[a-z0-9_-]{1,30}\]$/

const email = (field: string) =>
  text(field)
    .transform((value) => (value !== null && REDACTED.test(value) ? null : value))
    .refine((value) => value === null || isEmail(value), `${field} is not a valid e-mail address`)

/** An object, or the JSON text of one, which is all that a form can send. */
const metadata = z
  .unknown()
  .optional()
  .transform((value, context) => {
    if (value === undefined || value === null || value === '') return {}
    const object = typeof value === 'string' ? jsonOrNull(value) : value
    if (!isObject(object)) {
      context.addIssue('metadata must be an object')
      return z.NEVER
    }
    if (JSON.stringify(object).length > METADATA_LIMIT) {
      context.addIssue(`metadata is larger than ${METADATA_LIMIT / 1024} KiB`)
      return z.NEVER
    }
    return object
  })

const FIELDS = {
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
  metadata,
}

const Payload = z.looseObject(FIELDS)
type Payload = z.infer<typeof Payload>

/** The house format of the specification: flat, and the last resort for whatever no other platform knows. */
export default {
  id: 'flat',
  label: 'Flat form',
  kinds: ['created', 'updated', 'ignored'],
  recognises: () => true,
  isCertain: (payload) => {
    for (const key in payload) {
      if (!Object.hasOwn(FIELDS, key) || (typeof payload[key] === 'object' && key !== 'metadata')) return false
    }
    return true
  },
  schemes: { token: sharedToken(), 'standard-webhooks': standardWebhooks },

  read: (incoming) => {
    const parsed = Payload.safeParse(incoming.payload)
    if (!parsed.success) {
      return failFields(
        parsed.error.issues.map((issue) => ({ field: issue.path.join('.') || 'body', message: issue.message })),
      )
    }
    const draft = toDraft(parsed.data, incoming)
    return isUnrendered(draft.title) || isUnrendered(draft.externalId)
      ? { kind: 'ignored', reason: 'unrendered_template' }
      : { kind: 'updated', draft }
  },
} satisfies Platform

function toDraft(fields: Payload, { payload, scaleOf }: Incoming) {
  const wholeTitle = fields.title ?? fields.subject ?? fail('malformed', 'Title or subject is required')
  const description = fields.description ?? fields.body ?? fail('malformed', 'Description or body is required')
  const title = clip(wholeTitle, TITLE_LIMIT)
  const platform = fields.platform?.toLowerCase() ?? ''
  // A bare digit means what the named sender means by it; a word means the same everywhere.
  const isDigit = fields.priority?.length === 1
  const priority = priorityFrom(fields.priority ?? null, isDigit ? scaleOf?.(platform) : undefined)
  return {
    platform,
    account: '',
    externalId: fields.id ?? null,
    title,
    description,
    category: fields.category?.toLowerCase() ?? null,
    priority,
    status: null,
    userId: fields.user_id ?? null,
    userEmail: fields.customer_email ?? fields.user_email ?? null,
    sentUpdatedAt: timeFrom(fields.updated_at ?? null),
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
function metadataOf(
  fields: { metadata?: Record<string, unknown> | undefined },
  ours: Record<string, unknown>,
): Record<string, unknown> {
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
function leftOver(
  payload: Incoming['payload'],
  fields: { [name in keyof typeof FIELDS]?: unknown },
): Record<string, unknown> | null {
  const entries: [string, unknown][] = []
  for (const key in payload) if (!Object.hasOwn(FIELDS, key)) entries.push([key, payload[key]])
  if (fields.updated_at) entries.push(['updated_at', fields.updated_at])
  for (const [first, second] of PAIRS) {
    if (fields[first] && fields[second] && fields[first] !== fields[second]) entries.push([second, fields[second]])
  }
  // fromEntries defines each key, so that one named __proto__ stays data.
  return entries.length === 0 ? null : Object.fromEntries(entries)
}
