import { AppError, failFields, type FieldError } from './errors.ts'
import { compileExpression, type Expression, ExpressionError, plain } from './expression.ts'
import { meaning, timeFrom } from './fields.ts'
import { isObject, jsonOrNull, wellFormedValue } from './json.ts'
import { priorityFrom, type PriorityScale } from './priority.ts'
import type { Headers } from './signature.ts'
import { cleanText, clip, isEmail, METADATA_LIMIT, NAME_LIMIT, TITLE_LIMIT } from './text.ts'
import { type Status, STATUSES, type TicketDraft } from './ticket.ts'

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
export type MappableField = (typeof MAPPABLE)[number]

/** A JSONata expression a field, laid over what the platform made of the payload. */
export type FieldMap = { [field in MappableField]?: string | undefined }

/** What a map yields for one payload. A field that it says nothing of is left out; null is "absent". */
export type Mapped = Partial<Record<MappableField, unknown>>

export type CompiledFieldMap = {
  /** Reads no clock and changes nothing. Throws AppError `malformed`, naming each field that failed. */
  evaluate: (payload: unknown, headers: Headers) => Promise<Mapped>
}

/** Throws AppError `malformed`, naming each faulty expression and where in it the fault is. */
export function compileFieldMap(map: FieldMap): CompiledFieldMap {
  const errors: FieldError[] = []
  const expressions: [MappableField, Expression][] = []
  for (const field of MAPPABLE) {
    const source = map[field]
    if (source === undefined) continue
    try {
      expressions.push([field, compileExpression(source)])
    } catch (error) {
      errors.push(faultOf(field, error))
    }
  }
  for (const field in map) {
    if (!MAPPABLE.some((known) => known === field)) {
      errors.push({ field, message: `Field map: ${field.slice(0, 40)} is no field of a ticket` })
    }
  }
  if (errors.length > 0) failFields(errors)
  const usesHeaders = Object.values(map).some((source) => source?.includes('$headers'))

  return {
    evaluate: async (payload, headers) => {
      // JSONata leaves marks on arrays that it gives back, so it gets its own.
      const own = copyOf(payload)
      const ownHeaders = usesHeaders ? (copyOf(headers) as Record<string, unknown>) : null
      const mapped: Mapped = {}
      const faults: FieldError[] = []
      for (const [field, expression] of expressions) {
        try {
          const value = await expression(own, ownHeaders)
          if (value !== undefined) mapped[field] = value
        } catch (error) {
          faults.push(faultOf(field, error))
        }
      }
      if (faults.length > 0) failFields(faults)
      return mapped
    },
  }
}

function copyOf(value: unknown): unknown {
  try {
    return plain(value)
  } catch (error) {
    if (error instanceof ExpressionError) throw new AppError('malformed', `Field map: the payload ${error.message}`)
    throw error
  }
}

function faultOf(field: MappableField, error: unknown): FieldError {
  if (error instanceof ExpressionError) return { field, message: `Field map: ${field}: ${error.message}` }
  throw error
}

/** The usual words for a status, with single spaces. */
const STATUS_WORDS: Readonly<Record<string, Status>> = {
  ...(Object.fromEntries(STATUSES.map((status) => [status, status])) as Record<Status, Status>),
  created: 'new',
  'to do': 'new',
  todo: 'new',
  unassigned: 'new',
  active: 'open',
  acknowledged: 'open',
  assigned: 'open',
  firing: 'open',
  'in progress': 'open',
  opened: 'open',
  reopened: 'open',
  triggered: 'open',
  hold: 'pending',
  'on hold': 'pending',
  waiting: 'pending',
  'waiting for customer': 'pending',
  'waiting on customer': 'pending',
  complete: 'resolved',
  completed: 'resolved',
  done: 'resolved',
  fixed: 'resolved',
  solved: 'resolved',
  canceled: 'closed',
  cancelled: 'closed',
}

/** What of the metadata is ours, whatever a map says. */
const OURS = ['platform', 'external_id', 'unmapped']

/**
 * The draft with what the map said laid over it, normalised as a flat payload is. `scale` is the platform's own for
 * its priorities. A word for a priority or a status that nobody knows is kept in the metadata, never refused. Throws
 * AppError `malformed` for a structure where text is meant, and for a name or a metadata that is too long.
 */
export function applyMapped(draft: TicketDraft, mapped: Mapped, scale?: PriorityScale): TicketDraft {
  const errors: FieldError[] = []
  const result: TicketDraft = { ...draft, metadata: metadataWith(draft.metadata, mapped['metadata'], errors) }

  const note = (key: string, value: unknown): void => {
    if (value === null) delete result.metadata[key]
    else result.metadata[key] = value
  }
  const refuse = (field: MappableField, why: string): null => {
    errors.push({ field, message: `Field map: ${field} ${why}` })
    return null
  }
  /** Undefined when the map says nothing of the field, null when it says that there is none. */
  const text = (field: MappableField): string | null | undefined => {
    const value = mapped[field]
    if (value === undefined || value === null) return value
    if (typeof value !== 'object') return cleanText(String(value)) || null
    return refuse(field, `must be text, not ${Array.isArray(value) ? 'an array' : 'an object'}`)
  }
  const name = (field: MappableField): string | null | undefined => {
    const said = text(field)
    return said && said.length > NAME_LIMIT ? refuse(field, `is longer than ${NAME_LIMIT} characters`) : said
  }

  const title = text('title')
  if (title !== undefined) {
    result.title = title === null ? null : clip(title, TITLE_LIMIT)
    note('full_title', result.title === title ? null : title)
  }
  const description = text('description')
  if (description !== undefined) result.description = description
  const category = name('category')
  if (category !== undefined) result.category = category?.toLowerCase() ?? null
  const priority = text('priority')
  if (priority !== undefined) {
    result.priority = priorityFrom(priority, scale)
    note('original_priority', priority?.toLowerCase() === result.priority ? null : priority)
    note('priority_unmapped', null)
  }
  const status = text('status')
  if (status !== undefined) {
    const known = meaning(STATUS_WORDS, status?.replaceAll(/[\s_-]/g, ' ') ?? null)
    if (known !== null || status === null) result.status = known
    note('original_status', known === null ? status : null)
  }
  const userId = name('user_id')
  if (userId !== undefined) result.userId = userId
  const email = text('user_email')
  if (email !== undefined) {
    const isValid = email !== null && isEmail(email)
    result.userEmail = isValid ? email : null
    note('original_email', isValid ? null : email)
  }
  const externalId = name('external_id')
  if (externalId !== undefined) {
    result.externalId = externalId
    note('external_id', externalId)
  }
  const account = name('account')
  if (account !== undefined) result.account = account ?? ''
  const updatedAt = text('updated_at')
  if (updatedAt !== undefined) {
    result.sentUpdatedAt = timeFrom(updatedAt)
    note('original_updated_at', result.sentUpdatedAt === null ? updatedAt : null)
  }
  // An event has a stand-in for it; what is sent as a ticket has to have one.
  if (errors.length === 0 && result.title === null && result.event === null)
    refuse('title', 'is nothing, and a ticket needs one')
  if (errors.length > 0) failFields(errors)
  return result
}

function metadataWith(before: Record<string, unknown>, said: unknown, errors: FieldError[]): Record<string, unknown> {
  if (said === undefined || said === null || said === '') return { ...before }
  const refuse = (why: string) => {
    errors.push({ field: 'metadata', message: `Field map: metadata ${why}` })
    return { ...before }
  }
  const object = wellFormedValue(typeof said === 'string' ? jsonOrNull(said) : said)
  if (!isObject(object)) return refuse('must be an object')
  if (JSON.stringify(object).length > METADATA_LIMIT) return refuse(`is larger than ${METADATA_LIMIT / 1024} KiB`)
  const ours = Object.fromEntries(OURS.filter((key) => Object.hasOwn(before, key)).map((key) => [key, before[key]]))
  return { ...before, ...object, ...ours }
}
