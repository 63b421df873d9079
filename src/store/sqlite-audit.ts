import { hash } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'

import type { Checkpoint } from '../core/audit.ts'
import { openToRead } from './sqlite-beside.ts'
import { DELIVERY, deliveryOf, numberOrNull, textOrNull } from './rows.ts'
import type { Anchor, AuditReader, AuditRow, AuditStart } from './store.ts'

/** The schema whose columns are read here. */
const CHAIN_SCHEMA = 5

/** The questions of AuditReader, answered at once. */
export function auditQueries(db: DatabaseSync) {
  const sql = {
    newest: db.prepare('select id, received_at, link from deliveries order by id desc limit 1'),
    anchor: db.prepare('select delivery_id, link from audit_anchor'),
    before: db.prepare(`
      select count(*) as rows, min(id) as first, min(case when link is not null then id end) as linked
      from deliveries where id <= ?`),
    page: db.prepare(`
      select ${DELIVERY}, salt, link, seal, cast(body as blob) as body from deliveries where id > ? order by id limit ?`),
  }

  // A number that somebody made too large for a double is then a wrong one, and not the end of the reading.
  for (const statement of [sql.newest, sql.page]) statement.setReadBigInts(true)

  function anchor(): Anchor {
    const row = sql.anchor.get()
    return { deliveryId: Number(row?.['delivery_id'] ?? 0), link: String(row?.['link'] ?? '') }
  }

  /** Runs what has to see one state of the store. */
  function atOnce<T>(read: () => T): T {
    db.exec('begin')
    try {
      return read()
    } finally {
      if (db.isTransaction) db.exec('commit')
    }
  }

  function checkpoint(): Checkpoint | null {
    const row = sql.newest.get()
    if (row === undefined || row['link'] === null) return null
    return { deliveryId: Number(row['id']), receivedAt: Number(row['received_at']), link: String(row['link']) }
  }

  function auditStart(): AuditStart {
    return atOnce(() => {
      const start = anchor()
      const before = sql.before.get(start.deliveryId)
      return {
        anchor: start,
        newest: Number(sql.newest.get()?.['id'] ?? 0),
        before: {
          rows: Number(before?.['rows']),
          first: numberOrNull(before?.['first'] ?? null),
          firstLinked: numberOrNull(before?.['linked'] ?? null),
        },
      }
    })
  }

  function auditPage(after: number, limit: number): { anchor: Anchor; rows: AuditRow[] } {
    // One row at a time, so that only one body is in memory.
    return atOnce(() => ({ anchor: anchor(), rows: Array.from(sql.page.iterate(after, limit), auditRow) }))
  }

  return { checkpoint, auditStart, auditPage }
}

/** Of a row with DELIVERY, salt, link, seal, and its body as a blob. */
export function auditRow(row: Record<string, unknown>): AuditRow {
  const body = row['body'] as Uint8Array | null // cast to blob
  return {
    ...deliveryOf(row),
    hasBody: body !== null,
    keptSha256: body === null ? null : hash('sha256', body),
    salt: textOrNull(row['salt']),
    link: textOrNull(row['link']),
    seal: textOrNull(row['seal']),
  }
}

/** Opens the audit log of `directory` to be read, also beside a server that writes to it. Throws StoreError. */
export function openAudit(directory: string): AuditReader & { close: () => void } {
  const { queries, asked, close } = openToRead(directory, CHAIN_SCHEMA, auditQueries)
  return {
    auditNodes: async () => [''],
    checkpoint: async () => asked(queries.checkpoint),
    auditStart: async () => asked(queries.auditStart),
    auditPage: async (after, limit) => asked(() => queries.auditPage(after, limit)),
    close,
  }
}
