import { AppError, fail, failFields } from './errors.ts'
import { type Expression, compileExpression } from './expression.ts'
import { timeFrom } from './fields.ts'
import { isObject, wellFormedValue } from './json.ts'
import { priorityFrom, type PriorityScale } from './priority.ts'
import type { Headers } from './signature.ts'
import { cleanText, clip, isEmail, TITLE_LIMIT } from './text.ts'
import { STATUSES, type TicketDraft } from './ticket.ts'

const NAME_LIMIT = 500
const METADATA_LIMIT = 262_144

/** What of a ticket a source may map by expressions of its own. */
export const MAPPABLE = [
  'title',
  'description',
  'category',
  'priority',
  'status',
  'user_id',
  'user_email',
  'external_id',
  'account',
  'updated_at',
  'metadata',
] as const
type MappableField = (typeof MAPPABLE)[number]

/** A JSONata expression a field; `$headers` are the request's, with their names in lower case. */
export type FieldMap = { [field in MappableField]?: string | undefined }

/** What a map yields for one payload. A field it says nothing of is left out; null is "absent". */
export type Mapped = { [field in MappableField]?: unknown }

export type CompiledFieldMap = { evaluate: (payload: unknown, headers: Headers) => Promise<Mapped> }

/** Throws AppError `malformed`, naming each field whose expression is none. */
export function compileFieldMap(map: FieldMap): CompiledFieldMap {
  const faults: { field: string; message: string }[] = []
  const expressions: [MappableField, Expression][] = []
  for (const field of MAPPABLE) {
    const source = map[field]
    if (source === undefined) continue
    try {
      expressions.push([field, compileExpression(source)])
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      faults.push({ field: `field_map.${field}`, message: `Field map: ${field}: ${error.message}` })
    }
  }
  if (faults.length > 0) failFields(faults)

  return {
    evaluate: async (payload, headers) => {
      const mapped: Mapped = {}
      for (const [field, expression] of expressions) {
        const value = await named(field, () => expression(payload, { headers }))
        if (value !== undefined) mapped[field] = value
      }
      return mapped
    },
  }
}

async function named<T>(field: MappableField, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof AppError) fail('malformed', `Field map: ${field}: ${error.message}`)
    throw error
  }
}

/**
 * Lays what a map yields over what the platform made of the payload, cleaned as the flat form's fields are. Throws
 * AppError `malformed` where a field is no text, or where no title is left.
 */
export function applyMapped(draft: TicketDraft, mapped: Mapped, scale?: PriorityScale): TicketDraft {
  const own = { ...draft }
  /** What is worth keeping of the words that a field was made of; null takes away what stood there for the old ones. */
  const notes: Record<string, unknown> = {}
  const says = (field: MappableField) => mapped[field] !== undefined

  if (says('title')) {
    const whole = text('title', mapped)
    own.title = whole === null ? null : clip(whole, TITLE_LIMIT)
    notes['full_title'] = own.title === whole ? null : whole
  }
  if (says('description')) own.description = text('description', mapped)
  if (says('category')) own.category = name('category', mapped)?.toLowerCase() ?? null
  if (says('priority')) {
    const said = text('priority', mapped)
    own.priority = priorityFrom(said, scale)
    notes['original_priority'] = said?.toLowerCase() === own.priority ? null : said
    notes['priority_unmapped'] = said !== null && own.priority === null ? true : null
  }
  if (says('status')) {
    const said = text('status', mapped)
    const status = STATUSES.find((one) => one === said?.toLowerCase()) ?? null
    own.status = status ?? draft.status
    notes['original_status'] = status === null ? said : null
  }
  if (says('user_id')) own.userId = name('user_id', mapped)
  if (says('user_email')) {
    const said = text('user_email', mapped)
    own.userEmail = said !== null && isEmail(said) ? said : null
    notes['original_email'] = own.userEmail === said ? null : said
  }
  if (says('external_id')) {
    own.externalId = name('external_id', mapped)
    notes['external_id'] = own.externalId
  }
  if (says('account')) own.account = name('account', mapped) ?? ''
  if (says('updated_at')) own.sentUpdatedAt = timeFrom(text('updated_at', mapped))
  if (own.title === null && own.event === null) fail('malformed', 'Field map: title: it yields nothing')
  return { ...own, metadata: withMapped(draft.metadata, mapped.metadata, notes) }
}

function text(field: MappableField, mapped: Mapped): string | null {
  const value = mapped[field]
  if (value === null || value === undefined) return null
  if (typeof value === 'object') {
    fail('malformed', `Field map: ${field}: it must yield text, not ${Array.isArray(value) ? 'a list' : 'an object'}`)
  }
  return cleanText(String(value)) || null
}

function name(field: MappableField, mapped: Mapped): string | null {
  const value = text(field, mapped)
  if (value !== null && value.length > NAME_LIMIT) {
    fail('malformed', `Field map: ${field}: it yields more than ${NAME_LIMIT} characters`)
  }
  return value
}

/** What the map says of the metadata over what is there, but for what the ticket is known by. */
function withMapped(
  metadata: Record<string, unknown>,
  mapped: unknown,
  notes: Record<string, unknown>,
): Record<string, unknown> {
  if (mapped !== undefined && mapped !== null && !isObject(mapped)) {
    return fail('malformed', 'Field map: metadata: it must yield an object')
  }
  const said = mapped ? wellFormedValue(mapped) : {}
  if (JSON.stringify(said).length > METADATA_LIMIT) {
    fail('malformed', `Field map: metadata: it yields more than ${METADATA_LIMIT / 1024} KiB`)
  }
  const { platform, external_id: id, unmapped } = metadata
  const ours = { platform, external_id: id, unmapped, ...notes }
  const entries = Object.entries({ ...metadata, ...Object(said), ...ours })
  // fromEntries defines each key, so that one named __proto__ stays data.
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined && value !== null))
}
