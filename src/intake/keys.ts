import { hash, randomBytes } from 'node:crypto'

import { fail } from '../core/errors.ts'
import { allows, type ApiKey, keyFault, keyIdOf, type Scope } from '../core/key.ts'
import { perMinute } from '../core/rate.ts'
import { authorizationOf, headerText, type Headers } from '../core/signature.ts'
import type { KeyStore } from '../store/store.ts'
import { authenticateOpen } from './auth.ts'
import type { Limits } from './limits.ts'
import type { Sender } from './request.ts'

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

/** Who may do what, and how often. Throws `unauthenticated`, `forbidden` and `rate_limited`. */
export type Gate = {
  authenticate: (request: { headers: Headers; address: string }, scope: Scope) => Sender
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
  isLoopback: boolean
  hasSources: () => boolean
  adminKey: string | null
  limits: Limits
  onError: (error: unknown) => void
}): Promise<Gate> {
  const { store, isLoopback, hasSources, adminKey, limits, onError } = deps
  const fromEnvironment = adminKey === null ? null : environmentKey(adminKey)
  let byHash = new Map<string, ApiKey>()
  const uses = new Map<string, number>()

  async function load(): Promise<void> {
    const keys = await store.keys()
    byHash = new Map([...keys, ...(fromEnvironment ?? [])].map((key) => [key.hash, key]))
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
  }

  function authenticate({ headers, address }: { headers: Headers; address: string }, scope: Scope): Sender {
    const now = Date.now()
    if (isOpen()) return authenticateOpen(headers)
    const secret = secretIn(headers)
    const key = secret === null || secret.length > SECRET_LIMIT ? undefined : byHash.get(hashOf(secret))
    const fault = key === undefined ? (secret === null ? MISSING : 'API key is not known') : keyFault(key, now)
    if (key === undefined || fault !== null) {
      limits.failure(address, now)
      return fail('unauthenticated', fault ?? MISSING)
    }
    limits.key(key.id, perMinute(key.rate), now)
    if (!allows(key, scope))
      return fail('forbidden', `API key ${key.id} has no scope ${scope}; it has ${key.scopes.join(', ')}`)
    uses.set(key.id, now)
    return { source: `key:${key.id}`, registered: null }
  }

  return {
    authenticate,
    isOpen,
    close: async () => {
      unwatch()
      clearInterval(timer)
      await noteUses()
    },
  }
}

const MISSING =
  'API key is missing; send it as Authorization: Bearer, as X-API-Key, or as the password of Basic. `ticketflow keys create` makes one'

/** The key of TICKETFLOW_ADMIN_KEY, which is never stored. */
function environmentKey(secret: string): ApiKey[] {
  const never = { rate: null, createdAt: 0, expiresAt: null, revokedAt: null, lastUsedAt: null }
  return [{ id: 'environment', hash: hashOf(secret), name: 'TICKETFLOW_ADMIN_KEY', scopes: ['admin'], ...never }]
}

/** The first credential that a request carries, wherever senders can put one. */
function secretIn(headers: Headers): string | null {
  const own = headerText(headers, 'x-api-key')
  if (own !== null && own !== '') return own
  const said = authorizationOf(headers)
  if (said === null) return null
  return ('token' in said ? said.token : said.password || said.user) || null
}
