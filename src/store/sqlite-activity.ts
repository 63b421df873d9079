import type { DatabaseSync } from 'node:sqlite'

import type { Activity } from '../core/activity.ts'
import { COUNTED, hoursOf, type Table } from './activity.ts'

const TABLES = { deliveries: 'received_at', tickets: 'created_at' } as const satisfies Record<Table, string>

/** Times and numbers grow together but for rows that overtook each other: so much earlier is looked. */
const SLACK_MS = 60_000

/** What is asked of a table, whose index is its number alone: each finds its place by that. */
export const questionsOf = (table: Table) => ({
  // Each by itself is an end of the tree; both in one query would be a walk through all of it.
  bounds: `select coalesce((select min(id) from ${table}), 0) as first, coalesce((select max(id) from ${table}), 0) as last`,
  timeAt: `select id, ${TABLES[table]} as time from ${table} where id >= ? order by id limit 1`,
  rows: `select ${COUNTED[table]} from ${table} where id > ? and id <= ? order by id`,
})

/** Counts rows by number, on the reading thread. Neither table has an index by time, and needs none. */
export function activityQueries(db: DatabaseSync) {
  const bounds = prepare((table) => db.prepare(questionsOf(table).bounds))
  const timeAt = prepare((table) => db.prepare(questionsOf(table).timeAt))
  const rows = prepare((table) => {
    const statement = db.prepare(questionsOf(table).rows)
    statement.setReturnArrays(true)
    return statement
  })

  /** The numbers of the rows from this time on: after `first` and up to `last`. */
  function activityRange(table: Table, from: number): { first: number; last: number } {
    const found = bounds[table].get()
    const last = Number(found?.['last'])
    let [low, high] = [Number(found?.['first']), last + 1]
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const row = timeAt[table].get(middle)
      if (row === undefined || Number(row['time']) >= from - SLACK_MS) high = middle
      else low = Number(row['id']) + 1
    }
    return { first: Math.max(0, low - 1), last }
  }

  /** The rows after `first` up to `last`, by the hours in which they came. */
  const activityOf = (table: Table, first: number, last: number): Map<number, Activity> =>
    hoursOf(table, rows[table].iterate(first, last) as unknown as Iterable<unknown[]>) // setReturnArrays

  return { activityRange, activityOf }
}

const prepare = <Made>(make: (table: Table) => Made): Record<Table, Made> => ({
  deliveries: make('deliveries'),
  tickets: make('tickets'),
})
