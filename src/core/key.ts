export const SCOPES = ['intake', 'read', 'write', 'admin'] as const
export type Scope = (typeof SCOPES)[number]

/** An API key as it is kept: of the key itself only a hash, so that nobody who reads the store can use one. */
export type ApiKey = {
  /** The part of the key that may be shown: it names the key in lists, logs and the audit log. */
  id: string
  /** SHA-256 of the whole key, in hex. A key has 256 random bits, so that no slower hash makes it harder to guess. */
  hash: string
  name: string
  scopes: Scope[]
  /** Requests a minute; null is what is set for all keys. */
  rate: number | null
  /** ms since the epoch, all of them */
  createdAt: number
  expiresAt: number | null
  revokedAt: number | null
  lastUsedAt: number | null
}

const ID_LENGTH = 11

/** The part of a key that may be shown, even where somebody gave the whole key for it. */
export const keyIdOf = (secret: string): string => secret.slice(0, ID_LENGTH)

/** Why a key opens nothing, in words for its holder; null when it does. */
export function keyFault(key: ApiKey, now: number): string | null {
  if (key.revokedAt !== null) return `API key ${key.id} was revoked`
  if (key.expiresAt !== null && key.expiresAt <= now) {
    return `API key ${key.id} expired on ${new Date(key.expiresAt).toISOString().slice(0, 10)}`
  }
  return null
}

/** An administrator may do everything. */
export const allows = ({ scopes }: ApiKey, scope: Scope): boolean => scopes.includes(scope) || scopes.includes('admin')

/** A time as it is shown; null where there is none. */
export const instant = (time: number | null) => (time === null ? null : new Date(time).toISOString())

/** A key as it is shown to whoever may see all of them: everything but its hash. */
export const shownKey = (key: ApiKey) => ({
  id: key.id,
  name: key.name,
  scopes: SCOPES.filter((scope) => key.scopes.includes(scope)),
  rate: key.rate,
  created_at: new Date(key.createdAt).toISOString(),
  expires_at: instant(key.expiresAt),
  revoked_at: instant(key.revokedAt),
  last_used_at: instant(key.lastUsedAt),
})
