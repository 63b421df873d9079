import { hash, randomBytes } from 'node:crypto'

import { fail } from '../core/errors.ts'
import { allows, type ApiKey, keyFault, keyIdOf, type Scope, SCOPES } from '../core/key.ts'
import { perMinute } from '../core/rate.ts'
import { authorizationOf, headerText, type Headers } from '../core/signature.ts'
import type { KeyStore, SessionStore, StoredSession } from '../store/key-store.ts'
import { authenticateOpen } from './auth.ts'
import type { Limits } from './limits.ts'
import type { Sender } from './request.ts'
import { assertSameOrigin, bondOf, createSessions, sessionToken } from './sessions.ts'

/** How often it is written down which keys were used: not in the way of a request. */
const NOTE_USE_MS = 10_000

/** A longer credential is none of ours, and is not hashed. */
const SECRET_LIMIT = 512

const hashOf = (secret: string) => hash('sha256', secret)

export type NewKey = Pick<ApiKey, 'name' | 'scopes' | 'rate' | 'expiresAt'>

/** Makes a key. The secret is in the answer and nowhere else. */
export async function createKey(store: KeyStore, made: NewKey, now: number): Promise<ApiKey & { secret: string }> {
  const secret = `tf_${randomBytes(32).toString('base64url')}`
  const key = {
    ...made,
    id: keyIdOf(secret),
    hash: hashOf(secret),
    createdAt: now,
    revokedAt: null,
    lastUsedAt: null,
  }
  await store.addKey(key)
  return { ...key, secret }
}

/** A key that may do everything, for whoever opens a server or closes it. */
export const createAdminKey = (store: KeyStore, name: string, now: number) =>
  createKey(store, { name, scopes: ['admin'], rate: null, expiresAt: null }, now)

/** What of a request tells who asks. Without a method it counts as one that changes something. */
export type Asker = { headers: Headers; address: string; method?: string }

/** Who asks, as the console shows it. */
export type Identity = { open: boolean; name: string | null; scopes: readonly Scope[]; expiresAt: number | null }

/** `token` is what the browser's cookie is to hold. */
type SignedIn = Identity & { token: string; expiresAt: number }

/** Who may do what, and how often. Throws `unauthenticated`, `forbidden` and `rate_limited`. */
export type Gate = {
  /**
   * Looks up the session of a request, to be waited for before it is asked who asks; null where nothing has to be, as
   * with every key. Rejects with `unavailable` when the store cannot be asked.
   */
  recognise: (request: Pick<Asker, 'headers'>) => Promise<void> | null
  authenticate: (request: Asker, scope: Scope) => Sender
  /** As `authenticate`, for what a page does by itself: keeps no session alive, and counts as no use. */
  recheck: (request: Asker, scope: Scope) => void
  identify: (request: Asker) => Identity
  /** Opens a session for a browser that shows an admin key; null on an open server, which needs none. */
  signIn: (secret: string, request: Asker) => Promise<SignedIn | null>
  /** At every node, at once where the store's telling is heard and within half a minute where it is not. */
  signOut: (request: Asker) => Promise<void>
  /** Whether everybody on this machine may do everything. */
  isOpen: () => boolean
  /** Writes down what is left to write down, and stops. */
  close: () => Promise<void>
}

/**
 * Lets in who has a key with the scope. A server that only its own machine reaches is open as long as there has never
 * been a key or a source. `adminKey` is one that is set in the environment.
 */
export async function createGate(deps: {
  store: KeyStore
  sessionStore: SessionStore
  isLoopback: boolean
  hasSources: () => boolean
  adminKey: string | null
  limits: Limits
  publicUrl: string | null
  onError: (error: unknown) => void
}): Promise<Gate> {
  const { store, sessionStore, isLoopback, hasSources, adminKey, limits, publicUrl, onError } = deps
  const sessions = createSessions(sessionStore)
  const fromEnvironment = adminKey === null ? null : environmentKey(adminKey)
  let byHash = new Map<string, ApiKey>()
  let byId = new Map<string, ApiKey>()
  const uses = new Map<string, number>()

  async function load(): Promise<void> {
    const keys = [...(await store.keys()), ...(fromEnvironment ?? [])]
    byHash = new Map(keys.map((key) => [key.hash, key]))
    byId = new Map(keys.map((key) => [key.id, key]))
  }
  await load()
  const unwatch = store.onKeysChanged(() => void load().catch(onError))
  const timer = setInterval(() => void noteUses().catch(onError), NOTE_USE_MS)
  timer.unref()

  const isOpen = () => isLoopback && byHash.size === 0 && !hasSources()

  async function noteUses(): Promise<void> {
    const noted = new Map(uses)
    uses.clear()
    await store.noteUse(noted)
    await sessions.noteSeen()
  }

  function recognise({ headers }: Pick<Asker, 'headers'>): Promise<void> | null {
    const token = isOpen() ? null : tokenOf(headers)
    const asked = token === null ? null : sessions.recognise(token, Date.now())
    return asked === null ? null : knowKeyOf(asked)
  }

  /** Of who signed in at another node, with a key that this one may not have heard of yet. */
  async function knowKeyOf(asked: Promise<StoredSession | null>): Promise<void> {
    const session = await asked
    if (session !== null && !byId.has(session.keyId)) await load()
  }

  /** The key of a secret that was shown. Throws `unauthenticated`. */
  function keyOf(secret: string | null, { address }: Asker, now: number): ApiKey {
    const key = secret === null || secret.length > SECRET_LIMIT ? undefined : byHash.get(hashOf(secret))
    return proved(key, secret === null ? MISSING : 'API key is not known', { address, now })
  }

  function proved(
    key: ApiKey | undefined,
    missing: string,
    { address, now }: { address: string; now: number },
  ): ApiKey {
    const fault = key === undefined ? missing : keyFault(key, now)
    if (key !== undefined && fault === null) return key
    limits.failure(address, now)
    return fail('unauthenticated', fault ?? MISSING)
  }

  /** By the credential it carries, or else by its session. */
  function find(asker: Asker, now: number, isPassive: boolean): { key: ApiKey; expiresAt: number | null } {
    const token = tokenOf(asker.headers)
    if (token === null) {
      const key = keyOf(secretIn(asker.headers), asker, now)
      return { key, expiresAt: key.expiresAt }
    }
    const session = sessions.find(token, now, isPassive)
    const named = byId.get(session?.keyId ?? '')
    const isOfIt = named !== undefined && session?.bond === bondOf(token, named)
    const key = proved(isOfIt ? named : undefined, ENDED, { ...asker, now })
    if (asker.method !== 'GET' && asker.method !== 'HEAD') assertSameOrigin(asker.headers, publicUrl)
    return { key, expiresAt: session?.expiresAt ?? null }
  }

  function authenticate(asker: Asker, scope: Scope): Sender {
    const now = Date.now()
    if (isOpen()) return authenticateOpen(asker.headers)
    const { key } = find(asker, now, false)
    limits.key(key.id, perMinute(key.rate), now)
    assertAllowed(key, scope)
    uses.set(key.id, now)
    return { source: `key:${key.id}`, registered: null }
  }

  function recheck(asker: Asker, scope: Scope): void {
    if (isOpen()) authenticateOpen(asker.headers)
    else assertAllowed(find(asker, Date.now(), true).key, scope)
  }

  function identify(asker: Asker): Identity {
    if (isOpen()) {
      authenticateOpen(asker.headers)
      return { open: true, name: null, scopes: SCOPES, expiresAt: null }
    }
    const { key, expiresAt } = find(asker, Date.now(), true)
    return { open: false, name: key.name, scopes: SCOPES.filter((scope) => allows(key, scope)), expiresAt }
  }

  async function signIn(secret: string, asker: Asker): Promise<SignedIn | null> {
    const now = Date.now()
    if (isOpen()) {
      authenticateOpen(asker.headers)
      return null
    }
    // Nor may a page of somebody else's sign its visitors in as whom it likes.
    assertSameOrigin(asker.headers, publicUrl)
    const key = keyOf(secret, asker, now)
    assertAllowed(key, 'admin')
    uses.set(key.id, now)
    return { open: false, name: key.name, scopes: SCOPES, ...(await sessions.begin(key, now)) }
  }

  async function signOut(asker: Asker): Promise<void> {
    assertSameOrigin(asker.headers, publicUrl)
    const token = sessionToken(asker.headers)
    if (token !== null) await sessions.end(token)
  }

  return {
    recognise,
    authenticate,
    recheck,
    identify,
    signIn,
    signOut,
    isOpen,
    close: async () => {
      unwatch()
      sessions.close()
      clearInterval(timer)
      await noteUses()
    },
  }
}

const ENDED = 'Session has ended; sign in again'
const MISSING =
  'API key is missing; send it as Authorization: Bearer, as X-API-Key, or as the password of Basic. `ticketflow keys create` makes one'

function assertAllowed(key: ApiKey, scope: Scope): void {
  if (allows(key, scope)) return
  fail('forbidden', `API key ${key.id} has no scope ${scope}; it has ${key.scopes.join(', ')}`)
}

/** The key of TICKETFLOW_ADMIN_KEY, which is never stored. */
function environmentKey(secret: string): ApiKey[] {
  const never = { rate: null, createdAt: 0, expiresAt: null, revokedAt: null, lastUsedAt: null }
  return [{ id: 'environment', hash: hashOf(secret), name: 'TICKETFLOW_ADMIN_KEY', scopes: ['admin'], ...never }]
}

/** What a request shows of a session, unless it has a credential of its own, which counts more. */
function tokenOf(headers: Headers): string | null {
  const token = sessionToken(headers)
  return token !== null && secretIn(headers) === null ? token : null
}

/** The first credential that a request carries, wherever senders can put one. */
function secretIn(headers: Headers): string | null {
  const own = headerText(headers, 'x-api-key')
  if (own !== null && own !== '') return own
  const said = authorizationOf(headers)
  if (said === null) return null
  return ('token' in said ? said.token : said.password || said.user) || null
}
