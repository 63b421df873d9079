/** The closed set of reasons for which a request is refused. `http/errors.ts` gives each its status. */
export type ErrorCode =
  | 'malformed'
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  | 'timeout'
  | 'conflict'
  | 'too_large'
  | 'unsupported'
  | 'key_reused'
  | 'headers_too_large'
  | 'rate_limited'
  | 'unavailable'

export type ExceededLimit = { name: string; quota: number; windowS: number; retryAfterS: number }

export type FieldError = { field: string; message: string }

/** A refusal with a sentence for the sender. `errors` is there only when more than one field is at fault. */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly errors: FieldError[]
  /** Of `rate_limited`: which limit it was, and when to come again. */
  readonly limit: ExceededLimit | null

  constructor(code: ErrorCode, detail: string, errors: FieldError[] = [], limit: ExceededLimit | null = null) {
    // Where it was thrown says nothing to the sender, and to find out was a tenth of what a flood costs.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(detail)
    Error.stackTraceLimit = stackTraceLimit
    this.name = 'AppError'
    this.code = code
    this.errors = errors
    this.limit = limit
  }
}

export function fail(code: ErrorCode, detail: string): never {
  throw new AppError(code, detail)
}

/** Refuses a body by its fields: one fault is a sentence, several are a sentence and the list. */
export function failFields(errors: FieldError[]): never {
  const [first] = errors
  if (errors.length === 1 && first) throw new AppError('malformed', first.message)
  throw new AppError(
    'malformed',
    `${errors.length} fields are not valid: ${errors.map((e) => e.field).join(', ')}`,
    errors,
  )
}
