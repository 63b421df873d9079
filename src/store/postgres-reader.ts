import { z } from 'zod'

import type { Stored } from '../core/merge.ts'
import type { Ticket, TimelineEntry } from '../core/ticket.ts'
import { ask, askPlanned, type Pool, type Row } from './postgres-connect.ts'
import { bodyOf, TICKET } from './postgres-rows.ts'
import { searchOf } from './postgres-words.ts'
import { DELIVERY, deliveryOf, entryOf, storedOf, textOrNull, ticketOf, ticketRow } from './rows.ts'
import type { Changes, DeliveryQuery, ReplayQuery, StoredDelivery, TicketQuery, WholeDelivery } from './store.ts'

const NEWEST = Number.MAX_SAFE_INTEGER

// As the index deliveries_source has it, or it is not used.
const REGISTERED = `source not like 'key:%' and source not in ('open', 'unknown')`
const isRegistered = (source: string) => !source.startsWith('key:') && source !== 'open' && source !== 'unknown'

/** It knows the most frequent words alone, and takes any other for half as frequent as the last of them. */
const FEW_BY_WORDS = 16
/** To find all that several filters leave takes a walk through the index of each. */
const FEW_BY_FILTERS = 1 / 16

/** What PostgreSQL expects of a question. */
const Plan = z.tuple([z.object({ Plan: z.object({ 'Plan Rows': z.number() }) })])

const MERGED = { true: 'and merged_into is not null', false: 'and merged_into is null' } as const

/** No text of the database holds a NUL, so that a question with one in it finds nothing. */
const textual = (value: string) => value.replaceAll('\0', '\u{FFFD}')

/** A condition for each part of a question that was given; the limit is the last value. */
function conditions(
  limit: number,
  given: Record<string, string | number | undefined>,
): { where: string; last: string; values: unknown[] } {
  const values: unknown[] = []
  const where = Object.entries(given).flatMap(([condition, value]) => {
    if (value === undefined) return []
    values.push(typeof value === 'string' ? textual(value) : value)
    return condition.replace('?', `$${values.length}`)
  })
  values.push(limit)
  return { where: ['true', ...where].join(' and '), last: `$${values.length}`, values }
}

/** All questions to the store, answered over connections of their own. */
export function createPostgresReader(pool: Pool) {
  const ticketRowOf = async (id: number) => {
    const [row] = await ask(pool, `select ${TICKET} from tickets where id = $1`, [id])
    return row === undefined ? null : ticketRow(row)
  }

  async function ticket(id: number): Promise<Ticket | null> {
    const row = await ticketRowOf(id)
    return row && ticketOf(row)
  }

  async function heldTicket(id: number): Promise<Stored | null> {
    const row = await ticketRowOf(id)
    return row && storedOf(row)
  }

  async function tickets(asked: TicketQuery): Promise<Ticket[]> {
    const { status, priority, category, platform, q, merged, before, limit } = asked
    const search = q === undefined ? undefined : searchOf(q)
    if (search === null) return []
    const { where, last, values } = conditions(limit, {
      'status = ?': status,
      'priority = ?': priority,
      'category = ?': category,
      'platform = ?': platform,
      'words @@ ?::tsquery': search,
      'id < ?': before,
    })
    const wanted = `${where} ${merged === undefined ? '' : MERGED[`${merged}`]}`
    const filters = [status, priority, category, platform, merged].filter((one) => one !== undefined).length
    const isRare =
      (search !== undefined || filters > 1) &&
      (await areFew(wanted, values.slice(0, -1), limit * (search === undefined ? FEW_BY_FILTERS : FEW_BY_WORDS)))
    const rows = await askPlanned(
      pool,
      isRare
        ? `with found as materialized (select id from tickets where ${wanted})
           select ${TICKET} from tickets where id in (select id from found order by id desc limit ${last})
           order by id desc`
        : `select ${TICKET} from tickets where ${wanted} order by id desc limit ${last}`,
      values,
    )
    return rows.map((row) => ticketOf(ticketRow(row)))
  }

  /**
   * Whether all that is wanted is found sooner than its newest are, going back from the newest ticket. PostgreSQL itself
   * takes every question with a limit for one whose answer is near the end, and walks through the whole table for words
   * that no ticket has: a second for three million. But how many there are it knows well.
   */
  async function areFew(wanted: string, values: unknown[], passed: number): Promise<boolean> {
    const [[plan], [table]] = await Promise.all([
      askPlanned(pool, `explain (format json) select from tickets where ${wanted}`, values),
      ask(pool, `select reltuples from pg_class where oid = 'tickets'::regclass`),
    ])
    const found = Plan.parse(plan?.['QUERY PLAN'])[0].Plan['Plan Rows']
    const all = Number(table?.['reltuples'])
    // Each of the found costs about what each that is passed over does. Nothing is known of a table that is new.
    return all <= 0 || found ** 2 < passed * all
  }

  async function mergedInto(id: number): Promise<number[]> {
    const rows = await ask(pool, 'select id from tickets where merged_into = $1 order by id', [id])
    return rows.map((row) => Number(row['id']))
  }

  async function timeline(id: number): Promise<TimelineEntry[] | null> {
    const row = await ticketRowOf(id)
    if (row === null) return null
    const [sources, entries] = await Promise.all([
      ask(pool, 'select source from deliveries where id = $1', [row.delivery_id]),
      ask(
        pool,
        `select kind, at, actor, delivery_id, changes, comment from timeline
         where ticket_id = $1 and (changes <> '{}' or comment is not null or kind = 'erased') order by id`,
        [id],
      ),
    ])
    // Of a ticket made so long ago that its delivery was pruned, the source is not known any more.
    const actor = String(sources[0]?.['source'] ?? 'unknown')
    const { created_at: at, delivery_id: deliveryId } = row
    return [{ kind: 'created', at, actor, deliveryId, changes: {}, comment: null }, ...entries.map(entryOf)]
  }

  async function deliveries({ outcome, source, before, limit }: DeliveryQuery): Promise<StoredDelivery[]> {
    const { where, last, values } = conditions(limit, {
      'source = ?': source,
      'outcome = ?': outcome,
      'id < ?': before ?? NEWEST,
    })
    // Said again in the words of the indexes, which are of a part of the rows.
    const hints = [
      ...(source !== undefined && isRegistered(source) ? [REGISTERED] : []),
      ...(outcome !== undefined && outcome !== 'created' ? [`outcome <> 'created'`] : []),
    ]
    const rows = await askPlanned(
      pool,
      `select ${DELIVERY} from deliveries where ${[where, ...hints].join(' and ')} order by id desc limit ${last}`,
      values,
    )
    return rows.map(deliveryOf)
  }

  async function delivery(id: number): Promise<WholeDelivery | null> {
    const [row] = await ask(pool, `select ${DELIVERY}, body, body_bytes, link from deliveries where id = $1`, [id])
    return row === undefined ? null : wholeDelivery(row)
  }

  async function rowsOf({ deliveries: deliveryIds, tickets: ticketIds }: Changes) {
    const [told, changed] = await Promise.all([
      ask(pool, `select ${DELIVERY} from deliveries where id = any($1::bigint[]) order by id`, [deliveryIds]),
      ask(pool, `select ${TICKET} from tickets where id = any($1::bigint[]) order by id`, [ticketIds]),
    ])
    return { deliveries: told.map(deliveryOf), tickets: changed.map((row) => ticketOf(ticketRow(row))) }
  }

  async function changedSince(entry: number, limit: number) {
    const rows = await ask(pool, 'select id, ticket_id from timeline where id > $1 order by id limit $2', [
      entry,
      limit,
    ])
    return {
      tickets: [...new Set(rows.map((row) => Number(row['ticket_id'])))],
      last: Number(rows.at(-1)?.['id'] ?? entry),
    }
  }

  const newestEntry = async () =>
    Number((await ask(pool, 'select coalesce(max(id), 0) as id from timeline'))[0]?.['id'])

  async function replayable({ outcome, source, after, limit }: ReplayQuery): Promise<number[]> {
    const { where, last, values } = conditions(limit, {
      'outcome = ?': outcome,
      'source = ?': source || undefined,
      'id > ?': after,
    })
    const unmended = `not exists (
      select 1 from deliveries r where r.replay_of = d.id and r.replay_of is not null and r.outcome <> 'rejected')`
    const rows = await askPlanned(
      pool,
      `select id from deliveries d where ${where} and replay_of is null ${outcome === 'rejected' ? `and ${unmended}` : ''}
       order by id limit ${last}`,
      values,
    )
    return rows.map((row) => Number(row['id']))
  }

  async function lastOf(source: string, last: number): Promise<{ count: number; after: number }> {
    const [row] = await ask(
      pool,
      `select count(*) as count, coalesce(min(id), 1) - 1 as after from
         (select id from deliveries where source = $1 and ${REGISTERED} order by id desc limit $2) newest`,
      [textual(source), last],
    )
    return { count: Number(row?.['count']), after: Number(row?.['after']) }
  }

  async function wholeOf(source: string, after: number, limit: number): Promise<WholeDelivery[]> {
    const rows = await ask(
      pool,
      `select ${DELIVERY}, body, body_bytes, link from deliveries
       where source = $1 and ${REGISTERED} and id > $2 order by id limit $3`,
      [textual(source), after, limit],
    )
    return rows.map(wholeDelivery)
  }

  async function figures(): Promise<{ newestTicket: number; bytes: Record<string, number> }> {
    const [row] = await ask(
      pool,
      `select (select coalesce(max(id), 0) from tickets) as newest, pg_total_relation_size('tickets') as tickets,
         pg_total_relation_size('timeline') as timeline,
         (select sum(pg_total_relation_size(relid))::bigint from pg_partition_tree('deliveries')) as deliveries`,
    )
    const bytes = ['tickets', 'timeline', 'deliveries'].map((name) => [name, Number(row?.[name])])
    return { newestTicket: Number(row?.['newest']), bytes: Object.fromEntries(bytes) }
  }

  return {
    ticket,
    heldTicket,
    tickets,
    mergedInto,
    timeline,
    deliveries,
    delivery,
    rowsOf,
    changedSince,
    newestEntry,
    replayable,
    lastOf,
    wholeOf,
    figures,
  }
}

const wholeDelivery = (row: Row): WholeDelivery => ({
  ...deliveryOf(row),
  body: bodyOf(row),
  link: textOrNull(row['link']),
})
