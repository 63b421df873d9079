import type { DatabaseSync } from 'node:sqlite'

import type { Ticket, TimelineEntry } from '../core/ticket.ts'
import { auditQueries } from './sqlite-audit.ts'
import type { SearchIndex } from './sqlite-index.ts'
import { DELIVERY, deliveryOf, numberOrNull, textOrNull, ticketOf, ticketRow } from './sqlite-rows.ts'
import type { DeliveryQuery, StoredDelivery, TicketQuery, WholeDelivery } from './store.ts'

export type SqliteReader = ReturnType<typeof createReader>

const NEWEST = Number.MAX_SAFE_INTEGER

/** All questions to the store, answered from a connection of its own that never waits for the writer. */
export function createReader(db: DatabaseSync, index: SearchIndex) {
  const sql = {
    ticket: db.prepare('select * from tickets where id = ?'),
    newest: db.prepare('select * from tickets where id < ? order by id desc limit ?'),
    source: db.prepare('select source from deliveries where id = ?'),
    timeline: db.prepare(
      `select kind, at, actor, delivery_id, changes, comment from timeline
       where ticket_id = ? and (changes <> '{}' or comment is not null or kind = 'erased') order by id`,
    ),
    deliveries: db.prepare(`select ${DELIVERY} from deliveries where id < ? order by id desc limit ?`),
    created: db.prepare(
      `select ${DELIVERY} from deliveries where outcome = 'created' and id < ? order by id desc limit ?`,
    ),
    others: db.prepare(
      `select ${DELIVERY} from deliveries where outcome = ? and outcome <> 'created' and id < ? order by id desc limit ?`,
    ),
    delivery: db.prepare(`select ${DELIVERY}, body, link from deliveries where id = ?`),
  }

  function ticket(id: number): Ticket | null {
    const row = sql.ticket.get(id)
    return row === undefined ? null : ticketOf(ticketRow(row))
  }

  function tickets(query: TicketQuery): Ticket[] {
    const { status, priority, category, platform, q } = query
    if ([status, priority, category, platform, q].every((value) => value === undefined)) {
      return sql.newest.all(query.before ?? NEWEST, query.limit).map((row) => ticketOf(ticketRow(row)))
    }
    index.catchUp()
    return index.find(query).flatMap((id) => ticket(id) ?? [])
  }

  function timeline(id: number): TimelineEntry[] | null {
    const found = sql.ticket.get(id)
    if (found === undefined) return null
    const row = ticketRow(found)
    // Of a ticket made so long ago that its delivery was pruned, the source is not known any more.
    const actor = String(sql.source.get(row.delivery_id)?.['source'] ?? 'unknown')
    const created: TimelineEntry = {
      kind: 'created',
      at: row.created_at,
      actor,
      deliveryId: row.delivery_id,
      changes: {},
      comment: null,
    }
    return [created, ...sql.timeline.all(id).map(entryOf)]
  }

  function deliveries({ outcome, before = NEWEST, limit }: DeliveryQuery): StoredDelivery[] {
    if (outcome === undefined) return sql.deliveries.all(before, limit).map(deliveryOf)
    if (outcome === 'created') return sql.created.all(before, limit).map(deliveryOf)
    return sql.others.all(outcome, before, limit).map(deliveryOf)
  }

  function delivery(id: number): WholeDelivery | null {
    const row = sql.delivery.get(id)
    if (row === undefined) return null
    const body = row['body'] as string | Uint8Array | null // the writer binds nothing else
    return { ...deliveryOf(row), body, link: textOrNull(row['link']) }
  }

  return { ticket, tickets, timeline, deliveries, delivery, ...auditQueries(db) }
}

type Row = Record<string, unknown>

function entryOf(row: Row): TimelineEntry {
  return {
    kind: row['kind'] as TimelineEntry['kind'], // the writer's own words
    at: Number(row['at']),
    actor: String(row['actor']),
    deliveryId: numberOrNull(row['delivery_id']),
    changes: JSON.parse(String(row['changes'])),
    comment: row['comment'] === null ? null : JSON.parse(String(row['comment'])),
  }
}
