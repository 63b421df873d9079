import { createHash, type Hash } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'

import { Client } from 'pg'

import { GENESIS } from '../core/audit.ts'
import { nodeId } from './node-id.ts'
import { clientConfig, type Row } from './postgres-connect.ts'
import { prepareDatabase } from './postgres-schema.ts'
import {
  assertOurs,
  integer,
  lockDirectory,
  newestSchema,
  openBeside,
  schemaVersion,
  StoreError,
  storePath,
} from './sqlite-files.ts'
import { JOBS, TABLES, type Transferred } from './transfer-tables.ts'

const PAGE = 1000
/** Bytes of a page's rows: bodies can be large. */
const PAGE_BYTES = 8_388_608

export type TransferStep = { table: string; isVerifying: boolean; done: number; total: number }

/** By table: how many rows, and the hash of all of them, which is the same on both sides. */
export type Transfer = { node: string; resumed: boolean; tables: { name: string; rows: number; sha256: string }[] }

type Work = {
  db: DatabaseSync
  client: Client
  node: string
  progress: Record<string, number>
  onProgress: (step: TransferStep) => void
}

/**
 * Moves the embedded store of `directory` into the PostgreSQL at `url`, which has to be empty, and compares every row
 * then. Each page commits with the note of how far it is: interrupted at any moment, the next run goes on. The embedded
 * store stays as it is. Throws StoreError.
 */
export async function transferStore(options: {
  directory: string
  url: string
  /** Null is the data directory's own. */
  node: string | null
  now: number
  onProgress: (step: TransferStep) => void
}): Promise<Transfer> {
  const { directory, url, now, onProgress } = options
  const path = storePath(directory)
  if (!existsSync(path)) throw new StoreError(`There is no store in ${directory}; set TICKETFLOW_DATA_DIR to one`)
  const unlock = lockDirectory(directory)
  const db = openBeside(path)
  try {
    assertOurs(db, path)
    if (schemaVersion(db) !== newestSchema()) {
      throw new StoreError(`${path} is of an older version; start the server once and it is brought up to date`)
    }
    const node = nodeId(directory, options.node)
    await prepareDatabase(url, node, { isImport: true })
    const client = new Client(clientConfig(url, 'ticketflow migrate'))
    client.on('error', () => {}) // the question that waits says so
    await client.connect()
    try {
      const { progress, resumed } = await begin(client, node, now)
      const work: Work = { db, client, node, progress, onProgress }
      for (const table of TABLES) await copy(work, table)
      await copyJobs(work)
      await setNumbers(work)
      const tables = []
      for (const table of TABLES) tables.push(await compare(work, table))
      await client.query('update imports set finished_at = $2 where node = $1', [node, now])
      return { node, resumed, tables }
    } finally {
      await client.end().catch(() => {})
    }
  } catch (cause) {
    if (cause instanceof StoreError) throw cause
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new StoreError(`The store could not be moved: ${reason}; run it again, and it goes on where it was`, {
      cause,
    })
  } finally {
    db.close()
    unlock()
  }
}

/** How far an earlier run came. Refuses a database that has anything else in it. */
async function begin(
  client: Client,
  node: string,
  now: number,
): Promise<{ progress: Record<string, number>; resumed: boolean }> {
  const { rows } = await client.query<Row>('select node, progress, finished_at from imports')
  const own = rows.find((row) => row['node'] === node)
  if (own !== undefined && own['finished_at'] === null) {
    return { progress: JSON.parse(String(own['progress'])) as Record<string, number>, resumed: true } // its own words
  }
  const { rows: found } = await client.query<Row>(
    `select exists (select 1 from tickets) or exists (select 1 from deliveries) or exists (select 1 from imports)
       or exists (select 1 from articles) as used`,
  )
  if (found[0]?.['used'] === true) {
    throw new StoreError(
      'The database of DATABASE_URL has tickets, deliveries or articles already; name an empty one',
      {
        advice: 'createdb makes one; what is in this one is left as it is',
      },
    )
  }
  // Of a node that was started on it: nothing was delivered, so that it has signed nothing.
  await client.query('delete from receipt_keys')
  await client.query(`insert into imports (node, progress, started_at) values ($1, '{}', $2)`, [node, now])
  return { progress: {}, resumed: false }
}

const countOf = (db: DatabaseSync, name: string) => integer(db, `select count(*) from "${name}"`)

/** Rows after a key, with the key as `transfer_key`. */
function pageAfter(db: DatabaseSync, { name, key }: Pick<Transferred, 'name' | 'key'>) {
  const statement =
    key === 'id' || key === 'ticket_id'
      ? db.prepare(`select *, ${key} as transfer_key from "${name}" where ${key} > ? order by ${key} limit ?`)
      : db.prepare(
          `select * from (select *, ${key} as transfer_key from "${name}") where transfer_key > ? order by transfer_key limit ?`,
        )
  return (after: number): Row[] => {
    const page: Row[] = []
    let bytes = 0
    for (const row of statement.iterate(after, PAGE)) {
      page.push(row)
      bytes += sizeOf(row)
      if (bytes > PAGE_BYTES) break
    }
    return page
  }
}

const sizeOf = (row: Row) =>
  Object.values(row).reduce<number>((sum, value) => sum + (typeof value === 'string' ? value.length : 8), 0) +
  (row['body'] instanceof Uint8Array ? row['body'].length : 0)

async function copy(work: Work, table: Transferred): Promise<void> {
  const { db, node, progress, onProgress } = work
  const { name, toRow, columns, also } = table
  const total = countOf(db, name)
  const read = pageAfter(db, table)
  let done = 0
  for (;;) {
    const page = read(progress[name] ?? 0)
    if (page.length === 0) return
    const rows = page.map((row) => toRow(row, node))
    await commit(work, { ...progress, [name]: Number(page.at(-1)?.['transfer_key']) }, async () => {
      await insert(work.client, name, columns, rows)
      if (also !== undefined) await insert(work.client, also.name, also.columns, also.rows(rows))
    })
    done += rows.length
    onProgress({ table: name, isVerifying: false, done, total })
  }
}

/** The rows and how far that is, or neither. */
async function commit(work: Work, progress: Record<string, number>, write: () => Promise<void>): Promise<void> {
  const { client, node } = work
  await client.query('begin')
  await write()
  await client.query('update imports set progress = $2 where node = $1', [node, JSON.stringify(progress)])
  await client.query('commit')
  Object.assign(work.progress, progress)
}

async function insert(client: Client, name: string, columns: Transferred['columns'], rows: Row[]): Promise<void> {
  if (rows.length === 0) return
  const names = columns.map((column) => column.name).join(', ')
  const values = columns.map((column) => column.written ?? `r.${column.name}`).join(', ')
  const arrays = columns.map((column, index) => `$${index + 1}::${column.type}[]`).join(', ')
  await client.query(
    `insert into ${name} (${names}) overriding system value select ${values} from unnest(${arrays}) r (${names})`,
    columns.map((column) => rows.map((row) => bound(row[column.name]))),
  )
}

/** The driver takes a view for JSON; a buffer it sends as bytes. */
const bound = (value: unknown) => (value instanceof Uint8Array ? Buffer.from(value) : (value ?? null))

async function copyJobs(work: Work): Promise<void> {
  const { db, client, progress, onProgress } = work
  const total = countOf(db, 'jobs')
  const read = db.prepare(JOBS)
  let done = 0
  for (;;) {
    const page = read.all(progress['jobs'] ?? 0, PAGE)
    if (page.length === 0) return
    await commit(work, { ...progress, jobs: Number(page.at(-1)?.['id']) }, async () => {
      const { rows } = await client.query<Row>(
        `select n, (graphile_worker.add_job(kind, payload::json, run_at => to_timestamp(at / 1000.0), job_key => key,
           max_attempts => coalesce(most, 10))).id
         from unnest($1::text[], $2::text[], $3::float8[], $4::text[], $5::int[]) with ordinality
           j (kind, payload, at, key, most, n) order by n`,
        ['kind', 'payload', 'run_at', 'key', 'max_attempts'].map((name) => page.map((row) => bound(row[name]))),
      )
      // What had no attempt left has none there either, and keeps its last error.
      for (const { n, id } of rows) {
        const job = page[Number(n) - 1]
        if (job?.['is_dead'] !== 1) continue
        const error = job['last_error'] ?? 'dead before it was moved'
        await client.query('select graphile_worker.permanently_fail_jobs(array[$1::bigint], $2)', [id, error])
      }
    })
    done += page.length
    onProgress({ table: 'jobs', isVerifying: false, done, total })
  }
}

/** Numbers go on after the highest, and the chain where it was. */
async function setNumbers({ db, client, node }: Work): Promise<void> {
  for (const [sequence, table] of [
    ['ticket_ids', 'tickets'],
    ['delivery_ids', 'deliveries'],
  ] as const) {
    await client.query('select setval($1, greatest($2::bigint, 1), $2::bigint > 0)', [
      sequence,
      integer(db, `select max(id) from ${table}`),
    ])
  }
  for (const { name, hasIdentity } of TABLES) {
    if (hasIdentity !== true) continue
    await client.query(`select setval(pg_get_serial_sequence($1, 'id'), greatest($2::bigint, 1), $2::bigint > 0)`, [
      name,
      integer(db, `select max(id) from ${name}`),
    ])
  }
  const newest = db.prepare('select id, link from deliveries order by id desc limit 1').get()
  const anchor = db.prepare('select delivery_id, link from audit_anchor').get()
  const link = newest?.['link'] ?? anchor?.['link'] ?? GENESIS
  await client.query(
    `update nodes set newest_delivery = $2, newest_link = $3, anchor_delivery = $4, anchor_link = $5 where id = $1`,
    [node, Number(newest?.['id'] ?? 0), link, Number(anchor?.['delivery_id'] ?? 0), anchor?.['link'] ?? GENESIS],
  )
}

/** Hashes every row on both sides. Throws StoreError where they differ. */
async function compare(work: Work, table: Transferred): Promise<Transfer['tables'][number]> {
  const { db, client, node, onProgress } = work
  const { name, toRow, fromRow = (row: Row) => row, columns } = table
  const compared = columns.filter(({ isDerived }) => isDerived !== true).map((column) => column.name)
  const total = countOf(db, name)
  // The same numbers in the other dialect, whatever order of letters the database has.
  const key = table.key
    .replace(/order by (\w+)/, 'order by $1 collate "C"')
    .replace(`(field = 'priority')`, `(field = 'priority')::int`)
  const theirs = createHash('sha256')
  const ours = createHash('sha256')
  const read = pageAfter(db, table)
  let [after, done] = [0, 0]
  for (;;) {
    const page = read(after)
    if (page.length === 0) break
    const last = Number(page.at(-1)?.['transfer_key'])
    for (const row of page) add(ours, toRow(row, node), compared)
    const { rows } = await client.query<Row>(
      `select ${compared.join(', ')} from (select *, ${key} as transfer_key from ${name}) t
       where transfer_key > $1 and transfer_key <= $2 order by transfer_key`,
      [after, last],
    )
    for (const row of rows) add(theirs, fromRow(row), compared)
    done += page.length
    after = last
    onProgress({ table: name, isVerifying: true, done, total })
  }
  const { rows } = await client.query<Row>(`select count(*) as count from ${name}`)
  const sha256 = ours.digest('hex')
  if (theirs.digest('hex') !== sha256 || Number(rows[0]?.['count']) !== total) {
    throw new StoreError(`The rows of ${name} differ in the database; nothing was removed here`, {
      advice: 'drop the database, make it anew and run it again',
    })
  }
  return { name, rows: total, sha256 }
}

function add(hash: Hash, row: Row, columns: readonly string[]): void {
  const values = columns.map((column) => {
    const value = row[column] ?? null
    return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value
  })
  hash.update(`${JSON.stringify(values)}\n`)
}
