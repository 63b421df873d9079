import { existsSync, mkdirSync, readdirSync, readFileSync, accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** "TFLW": how a file is known as a TicketFlow store. */
const APPLICATION_ID = 0x54464c57

const MIGRATIONS = new URL('./migrations/', import.meta.url)

/** A data directory that cannot be used, said in one sentence for the person who set it. */
export class StoreError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StoreError'
  }
}

export const storePath = (directory: string) => join(directory, 'tickets.db')
export const indexPath = (directory: string) => join(directory, 'search.db')

/** Creates the directory (only its owner may look inside) and makes sure that it can be written. */
export function prepareDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (cause) {
    throw new StoreError(`Data directory ${directory} cannot be written; set TICKETFLOW_DATA_DIR to one that can`, {
      cause,
    })
  }
}

/**
 * Takes the directory for this process, until the returned function is called or the process ends, however it does.
 * SQLite's own exclusive lock serves as the lock: the kernel gives it back after a crash, so none is ever stale.
 */
export function lockDirectory(directory: string): () => void {
  const lock = new DatabaseSync(join(directory, 'server.lock'))
  try {
    lock.exec('pragma locking_mode = exclusive; pragma journal_mode = off; begin exclusive')
  } catch (cause) {
    lock.close()
    if (isBusy(cause)) {
      throw new StoreError(
        `Data directory ${directory} is in use by another running server; stop it or set TICKETFLOW_DATA_DIR`,
        { cause },
      )
    }
    throw new StoreError(`Data directory ${directory} cannot be locked: ${String(cause)}`, { cause })
  }
  return () => lock.close()
}

/** Whether a server has taken the directory. */
export function isLocked(directory: string): boolean {
  if (!existsSync(join(directory, 'server.lock'))) return false
  try {
    lockDirectory(directory)()
    return false
  } catch {
    return true
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === 5
}

/** Opens the store for its one writer and brings its schema up to date. Throws StoreError. */
export function openStore(path: string): DatabaseSync {
  try {
    const db = new DatabaseSync(path, { timeout: 5000 })
    db.exec(`
      pragma journal_mode = wal;
      pragma synchronous = full;
      pragma foreign_keys = on;
      pragma cache_size = -8192;
      pragma wal_autocheckpoint = 16000;
      pragma journal_size_limit = 67108864;
    `)
    migrate(db, path)
    return db
  } catch (cause) {
    if (cause instanceof StoreError) throw cause
    throw new StoreError(`Store ${path} cannot be opened: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    })
  }
}

/** Opens a store beside its writer: for reading, and for checkpoints. Throws StoreError. */
export function openBeside(path: string): DatabaseSync {
  try {
    const db = new DatabaseSync(path, { timeout: 5000 })
    db.exec('pragma query_only = on; pragma cache_size = -8192')
    return db
  } catch (cause) {
    throw new StoreError(`Store ${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    })
  }
}

export function schemaVersion(db: DatabaseSync): number {
  return integer(db, 'pragma user_version')
}

/** The newest schema that this program knows. */
export function newestSchema(): number {
  return migrations().length
}

/** Refuses what is no TicketFlow store, or one that a newer program wrote. */
export function assertOurs(db: DatabaseSync, path: string): void {
  if (integer(db, 'pragma application_id') !== APPLICATION_ID) {
    throw new StoreError(`${path} is not a TicketFlow store`)
  }
  const [version, newest] = [schemaVersion(db), newestSchema()]
  if (version > newest) {
    throw new StoreError(
      `${path} has schema ${version}, and this program knows ${newest}: it was written by a newer TicketFlow; upgrade to open it`,
    )
  }
}

function migrate(db: DatabaseSync, path: string): void {
  const isNew = integer(db, 'select count(*) from sqlite_schema') === 0
  if (!isNew) assertOurs(db, path)
  const steps = migrations()
  for (let version = schemaVersion(db); version < steps.length; version += 1) {
    const sql = steps[version]
    // The version is part of the transaction, so a crash leaves either the old schema or the new one.
    db.exec(
      `begin immediate; ${sql}; pragma application_id = ${APPLICATION_ID}; pragma user_version = ${version + 1}; commit`,
    )
  }
}

function migrations(): string[] {
  return readdirSync(MIGRATIONS)
    .filter((name) => name.endsWith('.sqlite.sql'))
    .toSorted()
    .map((name) => readFileSync(new URL(name, MIGRATIONS), 'utf8'))
}

/** The one number that a query answers with. */
export function integer(db: DatabaseSync, sql: string): number {
  const row = db.prepare(sql).get()
  return Number(row === undefined ? 0 : Object.values(row)[0])
}
