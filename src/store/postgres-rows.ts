import { hash } from 'node:crypto'

import type { AuditEntry } from '../core/audit.ts'
import { numberOrNull, textOrNull, type TicketRow, ticketRow } from './rows.ts'
import type { Row } from './postgres-connect.ts'
import type { Kept } from './tables.ts'

export const TICKET = `id, title, description, category, priority, status, user_id, user_email, metadata, platform, account,
  external_id, sent_updated_at, sender_said, fingerprint, delivery_id, created_at, updated_at, resolved_at, unsaid,
  merged_into, merged_at, own_status`

/** All that a transaction loaded before the rules run: what is there of whatever its submissions may touch. */
export type Loaded = {
  tickets: TicketRow[]
  /** By keyHash. */
  keys: ReadonlyMap<string, { id: number; ticketId: number | null; bodySha256: string }>
  answers: ReadonlyMap<number, string | null>
  /** Timeline entries by fingerprint and the comments, by entryKey. */
  fingerprints: ReadonlyMap<string, { at: number; deliveryId: number }>
  comments: ReadonlySet<string>
  /** Deliveries that are played again, and those that did it before, by origin, oldest first. */
  played: ReadonlyMap<number, Played[]>
  /** The deliveries on a ticket's timeline, of tickets that a replay may change. */
  told: ReadonlyMap<number, number[]>
  /** The tickets that are merged into those that are to be merged, or merged into, in order. */
  merged: ReadonlyMap<number, number[]>
  /** Causes that are decided, by entryKey. */
  causes: ReadonlySet<string>
  ticketIds: number[]
  deliveryIds: number[]
}

export type Played = { id: number; ticketId: number | null; answer: string | null }

/** A delivery as it is to be written. */
export type NewRow = { entry: AuditEntry; kept: Kept }

const digest = (parts: readonly string[]) => hash('sha256', JSON.stringify(parts), 'base64url')

export const keyHash = (source: string, key: string) => digest([source, key])
export const identityHash = (platform: string, account: string, externalId: string) =>
  digest([platform, account, externalId])

/** What is in a unique index stays short, whatever a sender calls its things. */
export const bounded = (key: string) => (key.length <= 200 ? key : digest([key]))
export const entryKey = (ticketId: number, key: string) => `${ticketId} ${key}`

/** A text that may be written; whatever else a mistake made of it would become one without a word. */
export function text<T extends string | null>(value: T): T {
  if (value !== null && typeof value !== 'string') throw new TypeError('what should be a text is none')
  return value
}

/** For a cut through rows: a column each. */
export const column = <T, V>(rows: readonly T[], pick: (row: T) => V): V[] => rows.map(pick)

export const ticketRows = (rows: readonly Row[]): TicketRow[] => rows.map(ticketRow)

export const playedOf = (row: Row): Played => ({
  id: Number(row['id']),
  ticketId: numberOrNull(row['ticket_id']),
  answer: textOrNull(row['answer']),
})

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** As the column for text takes it, or else the one for bytes. */
export function storedBody(body: Kept['body']): { body: string | null; bytes: Uint8Array | null } {
  if (typeof body !== 'string') return { body: null, bytes: body }
  return body.includes('\0') ? { body: null, bytes: Buffer.from(body) } : { body, bytes: null }
}

/** Text where it is UTF-8, whichever column it is in. */
export function bodyOf(row: Row): string | Uint8Array | null {
  const [body, bytes] = [row['body'], row['body_bytes']]
  if (typeof body === 'string') return body
  if (!(bytes instanceof Uint8Array)) return null
  try {
    return utf8.decode(bytes)
  } catch {
    return new Uint8Array(bytes)
  }
}
