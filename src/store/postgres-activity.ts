import { COUNTED, hoursOf, type Table } from './activity.ts'
import { ask, type Pool } from './postgres-connect.ts'

const TIMES = { deliveries: 'received_at', tickets: 'created_at' } as const satisfies Record<Table, string>
/** Times and numbers grow together but for rows that overtook each other: so much earlier is looked. */
const SLACK_MS = 60_000
/** A row with a smaller number may still be on its way from another node: the newest are counted a moment later. */
const SETTLED_MS = 10_000
const NEWEST = 20_000

/** Counts rows by number, as sqlite-activity.ts does. */
export function activityQueries(pool: Pool) {
  const number = async (sql: string, values: unknown[]) =>
    Number(Object.values((await ask(pool, sql, values))[0] ?? {})[0])

  async function activityRange(table: Table, from: number): Promise<{ first: number; last: number }> {
    const time = TIMES[table]
    const first = await number(`select coalesce(min(id), 0) from ${table}`, [])
    const last = await number(
      `select coalesce(max(id), 0) from ${table} where id > (select max(id) from ${table}) - ${NEWEST} and ${time} < $1`,
      [Date.now() - SETTLED_MS],
    )
    let [low, high] = [first, last + 1]
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const [row] = await ask(pool, `select id, ${time} as time from ${table} where id >= $1 order by id limit 1`, [
        middle,
      ])
      if (row === undefined || Number(row['time']) >= from - SLACK_MS) high = middle
      else low = Number(row['id']) + 1
    }
    return { first: Math.max(0, low - 1), last }
  }

  async function activityOf(table: Table, first: number, last: number) {
    const columns = COUNTED[table]
    const names = columns.split(', ')
    const rows = await ask(pool, `select ${columns} from ${table} where id > $1 and id <= $2`, [first, last])
    return hoursOf(
      table,
      rows.map((row) => names.map((name) => row[name])),
    )
  }

  /** What is too young to be counted for good: rows that overtake each other are all there at the next look. */
  const recentOf = (table: Table, last: number) => activityOf(table, last, last + NEWEST)

  return { activityRange, activityOf, recentOf }
}
