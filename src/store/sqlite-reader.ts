import type { DatabaseSync } from 'node:sqlite'

import type { Stored } from '../core/merge.ts'
import type { Ticket, TimelineEntry } from '../core/ticket.ts'
import { activityQueries } from './sqlite-activity.ts'
import { articleQueries } from './sqlite-articles.ts'
import { auditQueries } from './sqlite-audit.ts'
import { jobQueries } from './sqlite-job-queries.ts'
import type { SearchIndex } from './sqlite-index.ts'
import { MERGED_INTO } from './sqlite-statements.ts'
import { DELIVERY, deliveryOf, entryOf, storedOf, textOrNull, ticketOf, ticketRow } from './rows.ts'
import { triageQueries } from './sqlite-triage.ts'
import type { Changes, DeliveryQuery, ReplayQuery, StoredDelivery, TicketQuery, WholeDelivery } from './store.ts'

export type SqliteReader = ReturnType<typeof createReader>

const NEWEST = Number.MAX_SAFE_INTEGER

// As the index deliveries_source has it, or it is not used.
const REGISTERED = `source not glob 'key:*' and source not in ('open', 'unknown')`
const isRegistered = (source: string) => !source.startsWith('key:') && source !== 'open' && source !== 'unknown'

/** All questions to the store, answered from a connection of its own that never waits for the writer. */
export function createReader(db: DatabaseSync, index: SearchIndex) {
  const sql = {
    ticket: db.prepare('select * from tickets where id = ?'),
    newestTicket: db.prepare('select coalesce(max(id), 0) as id from tickets'),
    newest: db.prepare('select * from tickets where id < ? order by id desc limit ?'),
    newestApart: db.prepare('select * from tickets where id < ? and merged_into is null order by id desc limit ?'),
    mergedInto: db.prepare(MERGED_INTO),
    entries: db.prepare('select id, ticket_id from timeline where id > ? order by id limit ?'),
    newestEntry: db.prepare('select coalesce(max(id), 0) as id from timeline'),
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
    ofSource: db.prepare(`
      select ${DELIVERY} from deliveries where source = ?1 and ${REGISTERED} and id < ?2 and (?3 is null or outcome = ?3)
      order by id desc limit ?4`),
    ofOther: db.prepare(`
      select ${DELIVERY} from deliveries where source = ?1 and id < ?2 and (?3 is null or outcome = ?3)
      order by id desc limit ?4`),
    lastOf: db.prepare(`
      select count(*) as count, coalesce(min(id), 1) - 1 as after from
        (select id from deliveries where source = ? and ${REGISTERED} order by id desc limit ?)`),
    wholeOf: db.prepare(`
      select ${DELIVERY}, body, link from deliveries where source = ? and ${REGISTERED} and id > ? order by id limit ?`),
    replayable: db.prepare(`
      select id from deliveries d where id > ?1 and outcome = ?2 and (?3 is null or source = ?3) and replay_of is null
        and (?2 <> 'rejected' or not exists (
          select 1 from deliveries r where r.replay_of = d.id and r.replay_of is not null and r.outcome <> 'rejected'))
      order by id limit ?4`),
    delivery: db.prepare(`select ${DELIVERY}, body, link from deliveries where id = ?`),
    bareDelivery: db.prepare(`select ${DELIVERY} from deliveries where id = ?`),
  }

  function ticket(id: number): Ticket | null {
    const row = sql.ticket.get(id)
    return row === undefined ? null : ticketOf(ticketRow(row))
  }

  function tickets(query: TicketQuery): Ticket[] {
    const { status, priority, category, platform, q, merged } = query
    if (merged !== true && [status, priority, category, platform, q].every((value) => value === undefined)) {
      const newest = merged === false ? sql.newestApart : sql.newest
      return newest.all(query.before ?? NEWEST, query.limit).map((row) => ticketOf(ticketRow(row)))
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

  function deliveries({ outcome, source, before = NEWEST, limit }: DeliveryQuery): StoredDelivery[] {
    if (source !== undefined) {
      const statement = isRegistered(source) ? sql.ofSource : sql.ofOther
      return statement.all(source, before, outcome ?? null, limit).map(deliveryOf)
    }
    if (outcome === undefined) return sql.deliveries.all(before, limit).map(deliveryOf)
    if (outcome === 'created') return sql.created.all(before, limit).map(deliveryOf)
    return sql.others.all(outcome, before, limit).map(deliveryOf)
  }

  function delivery(id: number): WholeDelivery | null {
    const row = sql.delivery.get(id)
    return row === undefined ? null : wholeOf(row)
  }

  function heldTicket(id: number): Stored | null {
    const row = sql.ticket.get(id)
    return row === undefined ? null : storedOf(ticketRow(row))
  }

  function lastOf(source: string, last: number): { count: number; after: number } {
    const row = sql.lastOf.get(source, last)
    return { count: Number(row?.['count']), after: Number(row?.['after']) }
  }

  function bareDelivery(id: number): StoredDelivery[] {
    const row = sql.bareDelivery.get(id)
    return row === undefined ? [] : [deliveryOf(row)]
  }

  function changedSince(entry: number, limit: number): { tickets: number[]; last: number } {
    const rows = sql.entries.all(entry, limit)
    return {
      tickets: [...new Set(rows.map((row) => Number(row['ticket_id'])))],
      last: Number(rows.at(-1)?.['id'] ?? entry),
    }
  }

  function rowsOf(changes: Changes): { deliveries: StoredDelivery[]; tickets: Ticket[] } {
    return {
      deliveries: inOrder(changes.deliveries).flatMap(bareDelivery),
      tickets: inOrder(changes.tickets).flatMap((id) => ticket(id) ?? []),
    }
  }

  const replayable = ({ outcome, source = '', after, limit }: ReplayQuery): number[] =>
    sql.replayable.all(after, outcome, source || null, limit).map((row) => Number(row['id']))

  return {
    ticket,
    heldTicket,
    tickets,
    timeline,
    deliveries,
    delivery,
    replayable,
    rowsOf,
    changedSince,
    mergedInto: (id: number) => sql.mergedInto.all(id).map((row) => Number(row['id'])),
    newestEntry: () => Number(sql.newestEntry.get()?.['id']),
    lastOf,
    newestTicket: () => Number(sql.newestTicket.get()?.['id']),
    wholeOf: (source: string, after: number, limit: number) => sql.wholeOf.all(source, after, limit).map(wholeOf),
    ...auditQueries(db),
    ...triageQueries(db),
    ...articleQueries(db),
    ...jobQueries(db),
    ...activityQueries(db),
  }
}

function wholeOf(row: Row): WholeDelivery {
  const body = row['body'] as string | Uint8Array | null // the writer binds nothing else
  return { ...deliveryOf(row), body, link: textOrNull(row['link']) }
}

const inOrder = (ids: readonly number[]) => ids.toSorted((a, b) => a - b)

type Row = Record<string, unknown>
