import { setTimeout as sleep } from 'node:timers/promises'

type Request = {
  url: string
  body: unknown
  key: string | null
  timeoutMs: number
  signal: AbortSignal
}

const RETRIES = 2
const LONGEST_WAIT_MS = 10_000
const ANSWER_LIMIT = 64 * 1024 * 1024

/**
 * Posts JSON to a server of the operator's choice and returns the JSON it answers. Tries again where that may help: no
 * connection, 429, 5xx. Rejects with a sentence that holds neither the key nor what was sent.
 */
export async function askPeer(request: Request): Promise<unknown> {
  for (let attempt = 0; ; attempt += 1) {
    const answer = await tryOnce(request)
    if ('value' in answer) return answer.value
    request.signal.throwIfAborted()
    if (!answer.isPassing || attempt >= RETRIES) throw new Error(answer.fault)
    await sleep(answer.waitMs ?? 300 * 2 ** attempt, undefined, { signal: request.signal })
  }
}

type Answer = { value: unknown } | { fault: string; isPassing: boolean; waitMs: number | null }

async function tryOnce({ url, body, key, timeoutMs, signal }: Request): Promise<Answer> {
  const fault = (text: string, isPassing: boolean, waitMs: number | null = null) => ({
    fault: `${new URL(url).origin} ${text}`,
    isPassing,
    waitMs,
  })
  const limit = AbortSignal.timeout(timeoutMs)
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(key === null ? {} : { authorization: `Bearer ${key}` }) },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, limit]),
      // A server that was named is the one that is asked, and the only one to see the key.
      redirect: 'error',
    })
    const text = await textOf(response)
    if (!response.ok) {
      const isPassing = response.status === 429 || response.status >= 500
      return fault(`answered ${response.status}`, isPassing, retryAfterMs(response.headers.get('retry-after')))
    }
    return { value: JSON.parse(text) }
  } catch (error) {
    if (limit.aborted) return fault(`did not answer within ${timeoutMs / 1000} s`, false)
    if (error instanceof SyntaxError) return fault('answered something that is no JSON', false)
    if (error instanceof RangeError) return fault(error.message, false)
    return fault('cannot be reached', true)
  }
}

/** Seconds or a date, at most ten seconds from now; null for anything else. */
function retryAfterMs(header: string | null): number | null {
  if (header === null) return null
  const ms = /^\d+(\.\d+)?$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - Date.now()
  return Number.isNaN(ms) ? null : Math.max(0, Math.min(LONGEST_WAIT_MS, ms))
}

async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > ANSWER_LIMIT) throw new RangeError('answered more than 64 MiB')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
