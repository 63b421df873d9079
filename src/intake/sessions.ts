import { hash, randomBytes } from 'node:crypto'

import { fail } from '../core/errors.ts'
import { headerText, type Headers } from '../core/signature.ts'

/** Longest, and longest without a request. */
const LIFETIME_MS = 12 * 3_600_000
const IDLE_MS = 2 * 3_600_000
const SESSIONS = 1000

export const SESSION_COOKIE = 'ticketflow_session'
/** No page of another origin can send it: a browser would have to ask for leave first, which nobody gives. */
export const CSRF_HEADER = 'x-ticketflow-csrf'

/** A browser that was signed in. `keyHash` is of the key that it was signed in with, and lives no longer than that. */
export type Session = { keyHash: string; expiresAt: number }

/**
 * Who is signed in, in memory: a new start ends every session. What the cookie holds is kept as a hash, as keys are.
 */
export function createSessions() {
  const byHash = new Map<string, Session & { usedAt: number }>()

  function begin(keyHash: string, now: number): { token: string; expiresAt: number } {
    const token = randomBytes(32).toString('base64url')
    const expiresAt = now + LIFETIME_MS
    byHash.set(hash('sha256', token), { keyHash, expiresAt, usedAt: now })
    if (byHash.size > SESSIONS) byHash.delete(byHash.keys().next().value ?? '')
    return { token, expiresAt }
  }

  /** Null when there is none, or it has ended. What a page does by itself (`isPassive`) does not keep it alive. */
  function find(token: string, now: number, isPassive = false): Session | null {
    const key = hash('sha256', token)
    const session = byHash.get(key)
    if (session === undefined) return null
    if (now >= session.expiresAt || now - session.usedAt >= IDLE_MS) {
      byHash.delete(key)
      return null
    }
    if (!isPassive) session.usedAt = now
    return session
  }

  return { begin, find, end: (token: string) => byHash.delete(hash('sha256', token)) }
}

/** What the session's cookie holds; null when there is none. Of ours none is longer than 100 characters. */
export function sessionToken(headers: Headers): string | null {
  const cookies = headerText(headers, 'cookie')
  if (cookies === null || !cookies.includes(SESSION_COOKIE)) return null
  const ours = cookies.split(';').find((cookie) => cookie.trimStart().startsWith(`${SESSION_COOKIE}=`))
  const token = ours?.trim().slice(SESSION_COOKIE.length + 1) ?? ''
  return /^[\w-]{1,100}$/.test(token) ? token : null
}

/**
 * A browser sends the cookie along with whatever any page asks of it: throws `forbidden` unless the request shows that
 * a page of this very server makes it. `publicUrl` is the server's address where a proxy calls it by another.
 */
export function assertSameOrigin(headers: Headers, publicUrl: string | null): void {
  if (headerText(headers, CSRF_HEADER) !== '1')
    fail('forbidden', `Session needs the header ${CSRF_HEADER}: 1 to change anything`)
  const site = headerText(headers, 'sec-fetch-site')
  if (site !== null && site !== 'same-origin') fail('forbidden', 'Pages of another origin may not use a session')
  const origin = headerText(headers, 'origin')
  const host = headerText(headers, 'host')
  if (origin === null || site !== null) return
  const own = [`http://${host}`, `https://${host}`, ...(publicUrl === null ? [] : [new URL(publicUrl).origin])]
  if (!own.includes(origin)) fail('forbidden', 'Pages of another origin may not use a session')
}
