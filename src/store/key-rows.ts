import { z } from 'zod'

import { type ApiKey, SCOPES } from '../core/key.ts'
import type { Source, SourceSettings } from '../core/source.ts'
import type { PublishedKey, StoredSession } from './key-store.ts'

const KeyRow = z.object({
  id: z.string(),
  hash: z.string(),
  name: z.string(),
  scopes: z.string().transform((words) => z.array(z.enum(SCOPES)).parse(words.split(' '))),
  rate: z.number().nullable(),
  created_at: z.number(),
  expires_at: z.number().nullable(),
  revoked_at: z.number().nullable(),
  last_used_at: z.number().nullable(),
})

export function keyOf(row: unknown): ApiKey {
  const key = KeyRow.parse(row)
  return {
    id: key.id,
    hash: key.hash,
    name: key.name,
    scopes: key.scopes,
    rate: key.rate,
    createdAt: key.created_at,
    expiresAt: key.expires_at,
    revokedAt: key.revoked_at,
    lastUsedAt: key.last_used_at,
  }
}

const SessionRow = z.object({
  hash: z.string(),
  key_id: z.string(),
  bond: z.string(),
  created_at: z.number(),
  seen_at: z.number(),
  expires_at: z.number(),
})

export function sessionOf(row: unknown): StoredSession {
  const session = SessionRow.parse(row)
  return {
    hash: session.hash,
    keyId: session.key_id,
    bond: session.bond,
    createdAt: session.created_at,
    seenAt: session.seen_at,
    expiresAt: session.expires_at,
  }
}

const ReceiptKeyRow = z.object({
  key_id: z.string(),
  node: z.string(),
  public_key: z.string(),
  first_seen_at: z.number(),
})

export function receiptKeyOf(row: unknown): PublishedKey {
  const key = ReceiptKeyRow.parse(row)
  return { keyId: key.key_id, node: key.node, publicKey: key.public_key, firstSeenAt: key.first_seen_at }
}

const SecretRow = z.object({
  id: z.string(),
  sealed: z.string(),
  createdAt: z.number(),
  expiresAt: z.number().nullable(),
})

const SourceRow = z.object({
  id: z.string(),
  settings: z.string(),
  secrets: z.string().transform((json) => z.array(SecretRow).parse(JSON.parse(json))),
  created_at: z.number(),
  updated_at: z.number(),
  disabled_at: z.number().nullable(),
  deleted_at: z.number().nullable(),
})

export function sourceOf(row: unknown): Source {
  const source = SourceRow.parse(row)
  return {
    id: source.id,
    settings: JSON.parse(source.settings) as SourceSettings, // written by the store alone, from what a schema has read
    secrets: source.secrets,
    createdAt: source.created_at,
    updatedAt: source.updated_at,
    disabledAt: source.disabled_at,
    deletedAt: source.deleted_at,
  }
}
