import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'

import { AppError, type ErrorCode } from '../core/errors.ts'
import { CSRF_HEADER } from '../intake/sessions.ts'
import { sayToBrowsers } from './browsers.ts'
import { JSON_TYPE } from './fastify.ts'

const STATUS = {
  malformed: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  timeout: 408,
  conflict: 409,
  too_large: 413,
  unsupported: 415,
  key_reused: 422,
  rate_limited: 429,
  headers_too_large: 431,
  unavailable: 503,
} satisfies Record<ErrorCode, number>

const RETRY_AFTER_S = 1

/** A browser asks its user; everybody else reads what is accepted. */
const CHALLENGE = 'Basic realm="TicketFlow AI", charset="UTF-8", Bearer'
/** For a page's own requests: it asks its user itself, and no box of the browser's may come before it. */
const CHALLENGE_TO_PAGE = 'Bearer'

/** Fastify's own refusals in our words. */
const FASTIFY: Readonly<Record<string, AppError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: new AppError(
    'too_large',
    'Body is too large; TICKETFLOW_BODY_LIMIT sets how large one may be',
  ),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: new AppError('malformed', 'Content-Length does not match the length of the body'),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: new AppError(
    'unsupported',
    'Content-Type is not a media type; send application/json',
  ),
  FST_ERR_CTP_INVALID_JSON_BODY: new AppError('malformed', 'Body is not valid JSON'),
  FST_ERR_CTP_EMPTY_JSON_BODY: new AppError('malformed', 'Body is empty'),
  FST_ERR_BAD_URL: new AppError('malformed', 'URL is not valid'),
}

/** Whatever was thrown, as a refusal; null when it is a fault of ours. */
export function refusalOf(error: unknown): AppError | null {
  if (error instanceof AppError) return error
  if (!(error instanceof Error)) return null
  if (hasZodFastifySchemaValidationErrors(error)) {
    const errors = error.validation.map(({ instancePath, message }) => ({
      field: instancePath.slice(1).replaceAll('/', '.') || 'body',
      message: message ?? 'is not valid',
    }))
    const sentence = errors.map(({ field, message }) => `${field}: ${message}`).join('; ')
    return new AppError('malformed', sentence, errors.length > 1 ? errors : [])
  }
  const { code = '', statusCode = 500 } = error as Partial<FastifyError>
  const known = FASTIFY[code]
  if (known !== undefined) return known
  if (statusCode < 400 || statusCode >= 500) return null
  // Whatever else Fastify lays at the sender's door.
  return new AppError('malformed', code === 'ECONNRESET' ? 'Connection ended before the whole body' : error.message)
}

export const statusOf = (error: unknown): number => {
  const refusal = refusalOf(error)
  return refusal === null ? 500 : STATUS[refusal.code]
}

export function errorBody(error: unknown): { detail: string; errors?: AppError['errors'] } {
  const refusal = refusalOf(error)
  if (refusal === null)
    return { detail: 'Internal error; the request is on record, and its X-Request-Id finds it in the log' }
  return refusal.errors.length > 0 ? { detail: refusal.message, errors: refusal.errors } : { detail: refusal.message }
}

/** As draft-ietf-httpapi-ratelimit-headers writes it, and as everybody reads it. */
function sayLimit(error: unknown, reply: FastifyReply): void {
  const limit = refusalOf(error)?.limit
  if (!limit) return
  reply.header('retry-after', String(limit.retryAfterS))
  reply.header('ratelimit-policy', `"${limit.name}";q=${limit.quota};w=${limit.windowS}`)
  reply.header('ratelimit', `"${limit.name}";r=0;t=${limit.retryAfterS}`)
}

/** The one place where an error becomes an answer. */
export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const status = statusOf(error)
  if (status === 500) request.log.error({ err: error, request_id: request.id }, 'internal error')
  if (status === 503 && !reply.hasHeader('retry-after')) reply.header('retry-after', String(RETRY_AFTER_S))
  if (status === 429) sayLimit(error, reply)
  // An address bar and a form on a stranger's page show these, whatever the method.
  sayToBrowsers(request, reply)
  if (status === 401) {
    const isByPage = request.headers['sec-fetch-dest'] === 'empty' || CSRF_HEADER in request.headers
    reply.header('www-authenticate', isByPage ? CHALLENGE_TO_PAGE : CHALLENGE)
  }
  return reply
    .code(status)
    .header('x-request-id', request.id) // a URL that is none is refused before the hook that sets it
    .type(JSON_TYPE)
    .send(JSON.stringify(errorBody(error)))
}
