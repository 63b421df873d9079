import { readdirSync, readFileSync } from 'node:fs'

import { Logger, runMigrations } from 'graphile-worker'
import { Client } from 'pg'

import { clientConfig, type Row } from './postgres-connect.ts'
import { StoreError } from './sqlite-files.ts'

const MIGRATIONS = new URL('./migrations/postgres/', import.meta.url)
const OLDEST_SERVER = 150_000
/** Held by whoever changes the schema: "TFLW" and a number. */
const SCHEMA_LOCK = '6073462838199910401'
/** How many months there is a part for beside the present one. */
const MONTHS_AHEAD = 2
const LOCK_MS = 3_000

/**
 * Brings the database's schema up to date, and that of the job engine, and registers the node that is to write; one of
 * many does it, the others wait. Throws StoreError where the database cannot be used.
 */
export async function prepareDatabase(
  url: string,
  node: string | null = null,
  { isImport = false }: { isImport?: boolean } = {},
): Promise<void> {
  try {
    await withSchemaLock(url, async (client) => {
      await assertFit(client)
      await migrate(client)
      await runMigrations({ connectionString: url, logger: new Logger(() => () => {}), noHandleSignals: true })
      if (!isImport) await assertWhole(client)
      await makeParts(client, Date.now())
      if (node !== null) await client.query('insert into nodes (id) values ($1) on conflict do nothing', [node])
    })
  } catch (cause) {
    throw unusable(cause)
  }
}

/** What a fault means for who set the address. */
export function unusable(cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause
  return new StoreError(`The database of DATABASE_URL cannot be used: ${reasonOf(cause)}`, { cause })
}

/** An address that holds a password is in no message of the driver's. */
function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join('; ')
  return cause instanceof Error ? cause.message : String(cause)
}

/** Runs what only one node at a time may do, over a connection of its own that waits as long as it takes. */
async function withSchemaLock<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(clientConfig(url, 'ticketflow schema'))
  client.on('error', () => {}) // the question that waits says so
  await client.connect()
  try {
    await client.query(`select pg_advisory_lock(${SCHEMA_LOCK})`)
    return await work(client)
  } finally {
    await client.end().catch(() => {})
  }
}

async function assertFit(client: Client): Promise<void> {
  const { rows } = await client.query<Row>(
    `select current_setting('server_version_num')::int as version, current_setting('server_encoding') as encoding,
       pg_is_in_recovery() as standby`,
  )
  const [server] = rows
  if (Number(server?.['version']) < OLDEST_SERVER) throw new StoreError('PostgreSQL has to be version 15 or newer')
  if (server?.['encoding'] !== 'UTF8') {
    throw new StoreError(`The database has the encoding ${String(server?.['encoding'])}; make one with UTF8`)
  }
  if (server['standby'] === true) throw new StoreError('The database is a standby that only reads; name its primary')
}

/** Half a store is not to be served. */
async function assertWhole(client: Client): Promise<void> {
  const { rows } = await client.query('select 1 from imports where finished_at is null')
  if (rows.length === 0) return
  throw new StoreError('A store is being moved into the database and is not all there: run `ticketflow migrate` again')
}

async function migrate(client: Client): Promise<void> {
  await client.query(`
    create table if not exists ticketflow_schema (
      version integer primary key, name text not null, applied_at timestamptz not null default now())`)
  const { rows } = await client.query<Row>('select coalesce(max(version), 0) as version from ticketflow_schema')
  const found = Number(rows[0]?.['version'])
  const steps = migrations()
  // Steps are additive, so that nodes can be brought up to date one after the other.
  if (found > steps.length + 1) {
    throw new StoreError(
      `The database has schema ${found}, and this program knows ${steps.length}: it is of a newer TicketFlow; upgrade`,
    )
  }
  for (const [index, name] of steps.entries()) {
    if (index < found) continue
    const sql = readFileSync(new URL(name, MIGRATIONS), 'utf8')
    await inTransaction(client, async () => {
      await client.query(sql)
      await client.query('insert into ticketflow_schema (version, name) values ($1, $2)', [index + 1, name])
    })
  }
}

const migrations = () =>
  readdirSync(MIGRATIONS)
    .filter((name) => name.endsWith('.sql'))
    .toSorted()

/** The newest schema that this program knows. */
export const newestDatabaseSchema = (): number => migrations().length

async function inTransaction(client: Client, work: () => Promise<void>): Promise<void> {
  await client.query('begin')
  try {
    await work()
    await client.query('commit')
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw error
  }
}

/** Makes the parts of deliveries for this month and the next ones, where they are not there. */
export async function makePartsAhead(url: string, now: number): Promise<void> {
  await withSchemaLock(url, (client) => makeParts(client, now))
}

async function makeParts(client: Client, now: number): Promise<void> {
  const date = new Date(now)
  for (let ahead = 0; ahead <= MONTHS_AHEAD; ahead += 1) {
    await makePart(client, date.getUTCFullYear(), date.getUTCMonth() + ahead)
  }
}

async function makePart(client: Client, year: number, month: number): Promise<void> {
  const [from, to] = [Date.UTC(year, month), Date.UTC(year, month + 1)]
  const name = partName(from)
  const { rows } = await client.query<Row>('select to_regclass($1) is not null as there', [name])
  if (rows[0]?.['there'] === true) return
  await inTransaction(client, async () => {
    await client.query(`set local lock_timeout = ${LOCK_MS}`)
    await client.query(`create table ${name} (like deliveries including defaults including storage)`)
    // What came before the part was made is in the part for all the rest, and no longer belongs there.
    await client.query(`
      with moved as (
        delete from deliveries_default where received_at >= ${from} and received_at < ${to} returning *)
      insert into ${name} select * from moved`)
    await client.query(`alter table deliveries attach partition ${name} for values from (${from}) to (${to})`)
  })
}

/** `deliveries_2026_11`; the month of UTC in which `time` (ms) lies. */
function partName(time: number): string {
  const date = new Date(time)
  return `deliveries_${date.getUTCFullYear()}_${String(date.getUTCMonth() + 1).padStart(2, '0')}`
}

/** When the month of a part ends, in ms; null for a table that is none. */
export function endOfPart(name: string): number | null {
  const [, year, month] = /^deliveries_(\d{4})_(\d\d)$/.exec(name) ?? []
  return year === undefined ? null : Date.UTC(Number(year), Number(month))
}
