import type { ApiKey } from '../core/key.ts'

/** API keys, which another process may change at any time. */
export type KeyStore = {
  /** Oldest first, revoked and expired ones too. */
  keys: () => Promise<ApiKey[]>
  addKey: (key: ApiKey) => Promise<void>
  /** False when there is no such key, or it was revoked before. */
  revokeKey: (id: string, at: number) => Promise<boolean>
  /** When each of these keys was last used. */
  noteUse: (uses: ReadonlyMap<string, number>) => Promise<void>
  /** Tells of each change, within a second where another process made it, until the returned function is called. */
  onKeysChanged: (listener: () => void) => () => void
}

/** A browser that is signed in. What its cookie holds is kept as a hash, as keys are; times are ms. */
export type StoredSession = {
  /** SHA-256 of what the cookie holds, hex. */
  hash: string
  /** Of the key that it was signed in with. */
  keyId: string
  /** What only the same cookie and the same key make (intake/sessions.ts). */
  bond: string
  createdAt: number
  seenAt: number
  expiresAt: number
}

/** Who is signed in, at whatever node. Rejects with AppError `unavailable` when the store cannot be asked. */
export type SessionStore = {
  /** Of one key's sessions no more than `atMost` are left: the oldest give way. */
  addSession: (session: StoredSession, atMost: number) => Promise<void>
  /** By its hash; also one that has ended by its time. */
  session: (hash: string) => Promise<StoredSession | null>
  endSession: (hash: string) => Promise<void>
  /** When each of these was last seen, by hash. An earlier time changes nothing. */
  noteSeen: (seen: ReadonlyMap<string, number>) => Promise<void>
  /** Forgets those that have expired by then (ms); returns how many. */
  sweepSessions: (now: number) => Promise<number>
  /** Tells that some have ended, wherever that was, until the returned function is called. */
  onSessionsEnded: (listener: () => void) => () => void
}

/** A public key that receipts are, or were, signed by. */
export type PublishedKey = {
  /** RFC 7638 thumbprint: what a receipt names it by. */
  keyId: string
  /** Whose it is; '' for the embedded store. */
  node: string
  /** PEM. */
  publicKey: string
  firstSeenAt: number
}

export type ReceiptKeyStore = {
  /** Keeps those that are not known yet. */
  publishReceiptKeys: (keys: readonly Omit<PublishedKey, 'node'>[]) => Promise<void>
  /** Of all nodes, newest first: the newest 1,000. */
  receiptKeys: () => Promise<PublishedKey[]>
  /** False when there is no such key. A node that still has it publishes it again at its next start. */
  withdrawReceiptKey: (keyId: string) => Promise<boolean>
  /** As onKeysChanged. */
  onReceiptKeysChanged: (listener: () => void) => () => void
}

/** Of receipt keys that are listed: each is some 300 bytes, and nodes without a volume make one at each start. */
export const RECEIPT_KEYS = 1000
