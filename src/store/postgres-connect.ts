import {
  type ClientBase,
  type ClientConfig,
  type CustomTypesConfig,
  Pool,
  type PoolClient,
  type PoolConfig,
  types as parsers,
} from 'pg'

import { AppError } from '../core/errors.ts'

export type Client = PoolClient
export type { Pool }

/** A row as the driver hands it out: whole numbers as numbers. */
export type Row = Record<string, unknown>

const CONNECT_MS = 5_000
/** Nothing that a sender or a reader waits for takes longer; the server ends what does. */
const STATEMENT_MS = 30_000
const LOCK_MS = 10_000
/** After this long the connection itself counts as dead. */
const SILENCE_MS = STATEMENT_MS + 5_000
/** A node that vanished in the middle of a transaction holds its locks no longer than this. */
const IDLE_IN_TRANSACTION_MS = 60_000

const INT8 = 20

/** 8-byte integers as numbers: ids and times stay below 2^53. */
const types: CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text') =>
    oid === INT8 ? Number : parsers.getTypeParser(oid, format)) as CustomTypesConfig['getTypeParser'],
}

export function clientConfig(url: string, name: string): ClientConfig {
  return {
    connectionString: url,
    application_name: name,
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types,
  }
}

/** At most `max` connections, made when they are needed; each survives the loss of any other. */
export function createPool(url: string, { name, max }: { name: string; max: number }): Pool {
  const pool = new Pool({
    ...clientConfig(url, name),
    max,
    idleTimeoutMillis: 60_000,
    statement_timeout: STATEMENT_MS,
    lock_timeout: LOCK_MS,
    query_timeout: SILENCE_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    // Questions that do not need each other's answers travel together.
    pipeline: true,
  } as PoolConfig)
  // A connection that breaks while nobody waits for an answer of it says so to nobody else, and would end the process.
  // The pool drops it, or the next question over it fails; either way another is made when one is needed.
  pool.on('error', () => {})
  pool.on('connect', (client) => {
    client.on('error', () => {})
    // A statement is planned when it is new, and so may its tables be: read through while they were small, they would
    // still be when they are large. What finds rows here has an index.
    client.query('set jit = off; set enable_seqscan = off').catch(() => {})
  })
  return pool
}

const NETWORK = /^(?:ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_|EHOST|ENET)/
// Connection, authorisation, no such database, out of resources, operator's intervention (also a time-out), system fault,
// damage, a standby that only reads, a lock not had in time, an idle transaction ended.
const SERVER = /^(?:08|28|3D|53|57|58)...$|^(?:XX001|XX002|25006|55P03|25P03)$/
/** The driver's own, which have no code. */
const DRIVER =
  /^(?:Connection terminated|Connection ended|timeout (?:exceeded|expired)|Query read timeout|Client (?:has encountered|was closed)|Cannot use a pool after|The server does not support|read E|write E)/

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''

/** Whether the database cannot be used at the moment, so that no other question would fare better. */
export function isOutage(error: unknown): boolean {
  const code = codeOf(error)
  if (code !== '') return NETWORK.test(code) || SERVER.test(code)
  return error instanceof Error && DRIVER.test(error.message)
}

/** Whether another node was quicker, so that the same once more may well succeed: a unique index, or a deadlock. */
export const isConflict = (error: unknown): boolean => ['23505', '40001', '40P01'].includes(codeOf(error))

/** What is thrown for a fault of the database: `unavailable` where it is not the question's own. */
export function fault(error: unknown): unknown {
  if (!isOutage(error)) return error
  return new AppError('unavailable', `The store cannot be reached: ${error instanceof Error ? error.message : ''}`)
}

const names = new Map<string, string>()

/** The name under which the server keeps a statement prepared. */
function nameOf(text: string): string {
  const name = names.get(text) ?? `tf${names.size}`
  names.set(text, name)
  return name
}

/** Asks one thing by a prepared statement. `text` is one of a fixed set, never built from what somebody sent. */
export async function query(on: Pool | ClientBase, text: string, values: unknown[] = []): Promise<Row[]> {
  const { rows } = await on.query<Row>({ name: nameOf(text), text, values })
  return rows
}

/** As `ask`, but planned anew for these very values: what is quickest depends on them. */
export async function askPlanned(pool: Pool, text: string, values: unknown[]): Promise<Row[]> {
  try {
    return (await pool.query<Row>(text, values)).rows
  } catch (error) {
    throw fault(error)
  }
}

/** As `query`, for questions that stand alone: throws AppError `unavailable` where the database is not there. */
export async function ask(pool: Pool, text: string, values: unknown[] = []): Promise<Row[]> {
  try {
    return await query(pool, text, values)
  } catch (error) {
    throw fault(error)
  }
}

/**
 * Runs `work` in a transaction. It is committed when this resolves. When it rejects it was not, or, where the connection
 * was lost in the very moment of the commit, nobody knows; a sender who comes again is then told apart by his key.
 */
export async function transaction<T>(pool: Pool, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  try {
    // Sent together with the first question; when it fails, so does that.
    const begun = client.query('begin')
    begun.catch(() => {})
    const result = await work(client)
    await begun
    const { command } = await client.query('commit')
    // A transaction in which something failed is rolled back by its commit, without a word.
    if (command !== 'COMMIT') throw new Error('the transaction was rolled back')
    client.release()
    return result
  } catch (error) {
    await giveUp(client, error)
    throw error
  }
}

async function giveUp(client: Client, error: unknown): Promise<void> {
  if (isOutage(error)) return client.release(true) // also of a standby: another connection may lead elsewhere
  try {
    await client.query('rollback')
    client.release()
  } catch {
    client.release(true)
  }
}
