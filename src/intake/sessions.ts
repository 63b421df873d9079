import { hash, randomBytes } from 'node:crypto'

import { fail } from '../core/errors.ts'
import type { ApiKey } from '../core/key.ts'
import { headerText, type Headers } from '../core/signature.ts'
import type { SessionStore, StoredSession } from '../store/key-store.ts'

/** Longest, and longest without a request. */
const LIFETIME_MS = 12 * 3_600_000
const IDLE_MS = 2 * 3_600_000
/** Of one key; more than that and the oldest has to sign in again. */
const SESSIONS_A_KEY = 100
/** So long what is known here of a session counts: its end is told by the store, and this bounds what that loses. */
const TRUST_MS = 30_000
/** Sessions that are remembered here. */
const KNOWN = 1000

export const SESSION_COOKIE = 'ticketflow_session'
/** No page of another origin can send it: a browser would have to ask for leave first, which nobody gives. */
export const CSRF_HEADER = 'x-ticketflow-csrf'

/**
 * Who is signed in, in the store: at every node, and after a start. What was asked of it is remembered for half a minute,
 * so that most requests ask nothing. What the cookie holds is kept as a hash, as keys are.
 */
export function createSessions(store: SessionStore) {
  const known = new Map<string, { session: StoredSession; until: number }>()
  let seen = new Map<string, number>()
  let endings = 0
  const unwatch = store.onSessionsEnded(() => {
    endings += 1
    // Asked for again by the next request; one that was let in a moment ago is not thrown out halfway.
    for (const one of known.values()) one.until = 0
  })

  async function begin(key: Pick<ApiKey, 'id' | 'hash'>, now: number): Promise<{ token: string; expiresAt: number }> {
    const token = randomBytes(32).toString('base64url')
    const expiresAt = now + LIFETIME_MS
    const made = {
      hash: hashOf(token),
      keyId: key.id,
      bond: bondOf(token, key),
      createdAt: now,
      seenAt: now,
      expiresAt,
    }
    await store.addSession(made, SESSIONS_A_KEY)
    return { token, expiresAt }
  }

  /** Asks the store for a session that is not known here by now; no promise where there is nothing to wait for. */
  function recognise(token: string, now: number): Promise<StoredSession | null> | null {
    const id = hashOf(token)
    return (known.get(id)?.until ?? 0) > now ? null : learn(id, now)
  }

  async function learn(id: string, now: number): Promise<StoredSession | null> {
    let session: StoredSession | null
    let before: number
    // What ends while it is asked for may be in the answer still.
    do {
      before = endings
      session = await store.session(id)
    } while (before !== endings)
    known.delete(id)
    if (session === null) return null
    known.set(id, { session, until: now + TRUST_MS })
    if (known.size > KNOWN) known.delete(known.keys().next().value ?? '')
    return session
  }

  /**
   * Of a token that was recognised: null when there is none, or it has ended. What a page does by itself (`isPassive`)
   * does not keep it alive.
   */
  function find(token: string, now: number, isPassive = false): StoredSession | null {
    const id = hashOf(token)
    const session = known.get(id)?.session
    if (session === undefined || now >= session.expiresAt || now - session.seenAt >= IDLE_MS) return null
    if (!isPassive) {
      session.seenAt = Math.max(session.seenAt, now)
      seen.set(id, session.seenAt)
    }
    return session
  }

  async function noteSeen(): Promise<void> {
    const noted = seen
    seen = new Map()
    await store.noteSeen(noted)
  }

  return { begin, recognise, find, noteSeen, end: (token: string) => store.endSession(hashOf(token)), close: unwatch }
}

const hashOf = (token: string) => hash('sha256', token)

/** Ties a session to its key: what has the same id another time, as the environment's key may, opens nothing. */
export const bondOf = (token: string, key: Pick<ApiKey, 'hash'>): string => hash('sha256', `${token} ${key.hash}`)

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
