/** What the server says of a failure: its own sentence, and what went wrong with which field. */
export class ApiError extends Error {
  readonly status: number
  readonly errors: { field: string; message: string }[]
  /** Seconds, where the server named them. */
  readonly retryAfter: number | null

  constructor(status: number, detail: string, more: { errors?: ApiError['errors']; retryAfter?: number | null } = {}) {
    super(detail)
    this.name = 'ApiError'
    this.status = status
    this.errors = more.errors ?? []
    this.retryAfter = more.retryAfter ?? null
  }
}

type Ask = {
  method?: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  /** Sent as JSON. */
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
}

/**
 * Asks the server; `path` begins with `/api`. Throws ApiError: status 0 where it could not be reached.
 * A 401 to any query or mutation leads to the sign-in page and back (api/query.ts).
 */
export async function api<T>(path: string, { method = 'GET', body, headers, signal }: Ask = {}): Promise<T> {
  const response = await fetch(path, {
    method,
    credentials: 'same-origin',
    headers: {
      accept: 'application/json',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      // A page of another origin cannot set it without a preflight, which the server never answers.
      ...(method !== 'GET' && { 'x-ticketflow-csrf': '1' }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    ...(signal && { signal }),
  }).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError(0, 'The server could not be reached')
  })
  const text = await response.text()
  const json = parse(text)
  if (response.ok) return json as T // the server's own schemas made it
  const refusal = (json ?? {}) as { detail?: string; errors?: ApiError['errors'] }
  const wait = Number(response.headers.get('retry-after') ?? Number.NaN)
  throw new ApiError(response.status, refusal.detail ?? `The server answered ${response.status}`, {
    ...(refusal.errors && { errors: refusal.errors }),
    retryAfter: Number.isFinite(wait) ? wait : null,
  })
}

function parse(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text)
  } catch {
    return null
  }
}

/** `?a=1&b=2` of what is set; empty without anything. */
export function query(values: Record<string, string | number | undefined | null>): string {
  const set = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== '')
  return set.length === 0 ? '' : `?${new URLSearchParams(set.map(([key, value]) => [key, String(value)]))}`
}
