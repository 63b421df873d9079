import type { Row } from './postgres-connect.ts'
import { bodyOf, bounded, identityHash, keyHash, storedBody } from './postgres-rows.ts'
import { WORDS, wordsOf } from './postgres-words.ts'
import { ticketRow } from './rows.ts'

type Column = {
  name: string
  type: 'bigint' | 'text' | 'bytea' | 'integer' | 'boolean'
  /** What is written of it; its own value when left out. `r` is the row. */
  written?: string
  /** Computed from the other columns, so that it is not compared. */
  isDerived?: boolean
}

/** A table that moves: what is read of it, by which number it is paged, and what the other database makes of a row. */
export type Transferred = {
  name: string
  /** Ascending, unique and whole: pages go on after it. */
  key: string
  /** What SQLite selects; `*` where nothing else is said. */
  from?: string
  columns: Column[]
  toRow: (row: Row, node: string) => Row
  /** What PostgreSQL selects to compare; the columns when left out. `fromRow` makes of it what `toRow` does. */
  fromRow?: (row: Row) => Row
  /** A second table that is written from the same rows. */
  also?: { name: string; columns: Column[]; rows: (rows: Row[]) => Row[] }
  /** Whose numbers PostgreSQL hands out itself: it goes on after the highest. */
  hasIdentity?: boolean
}

const texts = (...names: string[]): Column[] => names.map((name) => ({ name, type: 'text' }))
const numbers = (...names: string[]): Column[] => names.map((name) => ({ name, type: 'bigint' }))
const same = (row: Row) => row

const TICKETS: Transferred = {
  name: 'tickets',
  key: 'id',
  columns: [
    ...numbers('id', 'sent_updated_at', 'delivery_id', 'created_at', 'updated_at', 'resolved_at', 'merged_into'),
    ...numbers('merged_at'),
    ...texts('title', 'description', 'category', 'priority', 'status', 'user_id', 'user_email', 'metadata'),
    ...texts('platform', 'account', 'external_id', 'identity', 'sender_said', 'fingerprint', 'own_status'),
    { name: 'unsaid', type: 'integer' },
    {
      name: 'words',
      type: 'text',
      written: WORDS('r.words'),
      isDerived: true,
    },
  ],
  toRow: (row) => {
    const { platform, account, external_id: externalId, ...ticket } = ticketRow(row)
    const identity = externalId === null ? null : identityHash(platform, account, externalId)
    const { title, description, user_email: userEmail, user_id: userId } = ticket
    return {
      ...ticket,
      platform,
      account,
      external_id: externalId,
      identity,
      fingerprint: ticket.fingerprint && bounded(ticket.fingerprint),
      words: wordsOf({ title, description, userEmail, userId, externalId }),
    }
  },
}

const DELIVERIES: Transferred = {
  name: 'deliveries',
  key: 'id',
  columns: [
    ...numbers('id', 'received_at', 'body_size', 'ticket_id', 'duration_us', 'replay_of'),
    ...texts('node', 'source', 'address', 'method', 'path', 'headers', 'body'),
    { name: 'body_bytes', type: 'bytea' },
    ...texts('body_sha256', 'request_id', 'platform', 'idempotency_key', 'outcome', 'reason', 'answer', 'salt', 'link'),
    ...texts('seal'),
    { name: 'status', type: 'integer' },
  ],
  toRow: (row, node) => {
    const kept = row['body'] as string | Uint8Array | null // the writer binds nothing else
    const { body, bytes } = storedBody(kept)
    return { ...row, node, body, body_bytes: bytes }
  },
  fromRow: (row) => {
    const { body, bytes } = storedBody(bodyOf(row))
    return { ...row, body, body_bytes: bytes }
  },
  also: {
    name: 'delivery_keys',
    columns: [...texts('hash', 'node', 'body_sha256'), ...numbers('delivery_id', 'ticket_id')],
    rows: (rows) =>
      rows.flatMap((row) =>
        row['idempotency_key'] === null
          ? []
          : {
              hash: keyHash(String(row['source']), String(row['idempotency_key'])),
              node: row['node'],
              body_sha256: row['body_sha256'],
              delivery_id: row['id'],
              ticket_id: row['ticket_id'],
            },
      ),
  },
}

const TIMELINE: Transferred = {
  name: 'timeline',
  key: 'id',
  columns: [
    ...numbers('id', 'ticket_id', 'at', 'delivery_id'),
    ...texts('kind', 'actor', 'changes', 'fingerprint', 'comment', 'comment_key'),
  ],
  toRow: (row) => ({
    ...row,
    fingerprint: row['fingerprint'] === null ? null : bounded(String(row['fingerprint'])),
    comment_key: row['comment_key'] === null ? null : bounded(String(row['comment_key'])),
  }),
  hasIdentity: true,
}

const flag = (name: string): Column => ({ name, type: 'boolean' })

const TRIAGE: Transferred = {
  name: 'triage',
  key: 'id',
  columns: [
    ...numbers('id', 'ticket_id', 'decided_at'),
    ...texts('cause', 'category', 'priority', 'decision', 'seen'),
    flag('category_sure'),
    flag('priority_sure'),
  ],
  toRow: (row) => ({
    ...row,
    cause: bounded(String(row['cause'])),
    category_sure: row['category_sure'] === 1,
    priority_sure: row['priority_sure'] === 1,
  }),
  hasIdentity: true,
}

/** Jobs become those of the job engine, in their order; what ran is run again, what is dead stays dead. */
export const JOBS = `
  select id, kind, coalesce(payload, '{"ticket_id":' || ticket_id || '}') as payload, run_at, attempts, max_attempts,
    last_error, key, coalesce(state, '') = 'dead' as is_dead
  from jobs where id > ? order by id limit ?`

/** In the order in which they move: what is named comes before what names it. */
export const TABLES: Transferred[] = [
  {
    name: 'api_keys',
    key: 'row_number() over (order by id)',
    columns: [
      ...texts('id', 'hash', 'name', 'scopes'),
      ...numbers('rate', 'created_at', 'expires_at', 'revoked_at', 'last_used_at'),
    ],
    toRow: same,
  },
  {
    // Receipts from before the move are still to be verified. Sessions do not move: people sign in again.
    name: 'receipt_keys',
    key: 'row_number() over (order by key_id)',
    columns: [...texts('key_id', 'node', 'public_key'), ...numbers('first_seen_at')],
    toRow: (row, node) => ({ ...row, node }),
  },
  {
    name: 'sources',
    key: 'row_number() over (order by id)',
    columns: [
      ...texts('id', 'settings', 'secrets'),
      ...numbers('created_at', 'updated_at', 'disabled_at', 'deleted_at'),
    ],
    toRow: same,
  },
  {
    name: 'rhythms',
    key: 'row_number() over (order by source)',
    columns: texts('source', 'rhythm'),
    toRow: same,
  },
  TICKETS,
  DELIVERIES,
  TIMELINE,
  TRIAGE,
  {
    name: 'verdicts',
    key: `ticket_id * 2 + (field = 'priority')`,
    columns: [...numbers('ticket_id', 'at'), ...texts('field', 'value', 'actor')],
    toRow: same,
  },
  {
    name: 'vectors',
    key: 'ticket_id',
    columns: [...numbers('ticket_id'), ...texts('model'), { name: 'vector', type: 'bytea' }],
    toRow: same,
  },
  {
    name: 'settings',
    key: 'row_number() over (order by name)',
    columns: [...texts('name', 'value'), ...numbers('updated_at')],
    toRow: same,
  },
  {
    name: 'articles',
    key: 'id',
    columns: [
      ...numbers('id', 'created_at', 'updated_at'),
      { name: 'size', type: 'integer' },
      ...texts('source', 'title', 'format', 'labels', 'sha256', 'body'),
      { name: 'words', type: 'text', written: WORDS('r.words'), isDerived: true },
    ],
    toRow: same,
    hasIdentity: true,
  },
  {
    name: 'chunks',
    key: 'id',
    columns: [...numbers('id', 'article_id'), ...texts('heading', 'text', 'model'), { name: 'vector', type: 'bytea' }],
    toRow: same,
    hasIdentity: true,
  },
]
