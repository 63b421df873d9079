import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** "TFLW": how a file is known as a TicketFlow store. */
const APPLICATION_ID = 0x54464c57

/**
 * Bytes of a page of a new store; one that was made with another keeps it. A row of the audit log is about 2 KB, of which
 * a page of 4,096 has room for one: a batch takes a quarter less of the writer's time with these.
 */
const PAGE = 8192

const MIGRATIONS = new URL('./migrations/', import.meta.url)

/** What to do about a store that is damaged. */
export const RESTORE =
  'keep a copy of the data directory, then put a backup in its place: ticketflow restore FILE --force'

/** A data directory that cannot be used, said in one sentence for the person who set it. */
export class StoreError extends Error {
  /** What to do about it, where the sentence does not say so itself. */
  readonly advice: string | null

  constructor(message: string, options: ErrorOptions & { advice?: string } = {}) {
    super(message, options)
    this.name = 'StoreError'
    this.advice = options.advice ?? null
  }
}

const CORRUPT = 11
const NOT_A_DATABASE = 26

/** The primary result code of SQLite; 0 for whatever else was thrown. */
export const resultCode = (error: unknown): number =>
  error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0

/** Whether what is on disk can't be what was written. */
export const isDamage = (error: unknown): boolean => [CORRUPT, NOT_A_DATABASE].includes(resultCode(error))

/** What a fault of the database means for the file, called `named`. */
export function storeFault(cause: unknown, named: string): StoreError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  if (resultCode(cause) === NOT_A_DATABASE) {
    return new StoreError(`${named} is not a TicketFlow store`, { cause, advice: RESTORE })
  }
  if (resultCode(cause) === CORRUPT) return new StoreError(`${named} is damaged: ${reason}`, { cause, advice: RESTORE })
  return new StoreError(`${named} cannot be opened: ${reason}`, { cause })
}

export const storePath = (directory: string) => join(directory, 'tickets.db')
export const indexPath = (directory: string) => join(directory, 'search.db')

const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0

/** Bytes of the files, by what they are for. */
export function fileSizes(directory: string): Record<'tickets' | 'log' | 'search', number> {
  const [store, index] = [storePath(directory), indexPath(directory)]
  return { tickets: sizeOf(store), log: sizeOf(`${store}-wal`), search: sizeOf(index) + sizeOf(`${index}-wal`) }
}

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

/** Whether anybody but its owner may do anything with a file or a folder. */
export const isOpenToOthers = (path: string): boolean => (statSync(path).mode & 0o077) !== 0

/** Makes the file where it is not there, and keeps everybody but its owner from it, whatever the umask is. */
export function makePrivate(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return closeSync(openSync(path, 'a', 0o600))
  if (!found.isFile() || (found.mode & 0o077) === 0) return
  try {
    chmodSync(path, 0o600)
  } catch {
    // Another user's file: the doctor tells of it.
  }
}

/** What an earlier version left open to others; SQLite gives a log the permissions of its database. */
function makeFilesPrivate(directory: string): void {
  for (const path of [storePath(directory), indexPath(directory)]) {
    for (const file of ['', '-wal', '-shm'].map((suffix) => path + suffix)) if (existsSync(file)) makePrivate(file)
  }
}

/**
 * Refuses to begin anew where there was a store: it is gone or empty, and what belongs to it is there. Tickets that
 * were acknowledged would be missing, and nobody would know.
 */
export function assertNotLost(directory: string): void {
  const path = storePath(directory)
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0) return
  const left = [`${path}-wal`, indexPath(directory)].find(
    (file) => (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0,
  )
  if (left === undefined) return
  throw new StoreError(
    `${path} is ${existsSync(path) ? 'empty' : 'gone'}, and ${left} is there: there was a store; put a backup in its place ` +
      `(ticketflow restore FILE --force), or remove ${left} to begin with none`,
  )
}

/** The first 100 bytes of a database; null where the file is none, or not yet one. */
function headerOf(path: string): Buffer | null {
  const header = Buffer.alloc(100)
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) < header.length) return null
  const file = openSync(path, 'r')
  readSync(file, header, 0, header.length, 0)
  closeSync(file)
  return header.toString('latin1', 0, 15) === 'SQLite format 3' ? header : null
}

const pageSizeIn = (header: Buffer) => (header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16))

/** Bytes of a page of the database at `path`; PAGE where nothing says it. */
export function pageSize(path: string): number {
  const header = headerOf(path)
  return header === null ? PAGE : pageSizeIn(header)
}

/** Refuses a file that was cut short: SQLite reads what is missing of a page as zeros. */
export function assertWholeFile(path: string, named = path): void {
  // A log may hold what the file does not yet.
  if ((statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0) return
  const header = headerOf(path)
  if (header === null) return
  const size = statSync(path).size
  const page = pageSizeIn(header)
  const isCounted = header.readUInt32BE(24) === header.readUInt32BE(92)
  const whole = isCounted ? header.readUInt32BE(28) * page : Math.ceil(size / page) * page
  if (size >= whole) return
  throw new StoreError(`${named} is damaged: it was cut short, ${size} of ${whole} bytes are there`, {
    advice: RESTORE,
  })
}

/** Whether these files are still the ones that they were at first: what is written to a removed file is lost. */
export function filesInPlace(paths: readonly string[]): () => boolean {
  const known = new Map<string, number>()
  return () =>
    paths.every((path) => {
      const found = statSync(path, { throwIfNoEntry: false })?.ino ?? 0
      if (!known.has(path) && found !== 0) known.set(path, found)
      return known.get(path) === found && found !== 0
    })
}

/**
 * Takes the directory for this process, until the returned function is called or the process ends, however it does.
 * SQLite's own exclusive lock serves as the lock: the kernel gives it back after a crash, so none is ever stale.
 */
export function lockDirectory(directory: string): () => void {
  const path = join(directory, 'server.lock')
  let lock: DatabaseSync
  try {
    makePrivate(path)
    lock = new DatabaseSync(path)
  } catch (cause) {
    throw new StoreError(`Data directory ${directory} cannot be locked: ${String(cause)}`, { cause })
  }
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

const isBusy = (error: unknown): boolean => resultCode(error) === 5

/** Opens the store for its one writer and brings its schema up to date. Throws StoreError. */
export function openStore(path: string): DatabaseSync {
  try {
    assertWholeFile(path)
    makePrivate(path)
    makeFilesPrivate(dirname(path))
    const db = new DatabaseSync(path, { timeout: 5000 })
    db.exec(`
      pragma page_size = ${PAGE};
      pragma journal_mode = wal;
      pragma synchronous = full;
      pragma foreign_keys = on;
      pragma cache_size = -8192;
      pragma wal_autocheckpoint = 8000;
      pragma journal_size_limit = 67108864;
    `)
    migrate(db, path)
    return db
  } catch (cause) {
    if (cause instanceof StoreError) throw cause
    throw storeFault(cause, `Store ${path}`)
  }
}

/** Opens a store beside its writer: for reading, and for checkpoints. Throws StoreError. */
export function openBeside(path: string): DatabaseSync {
  try {
    const db = new DatabaseSync(path, { timeout: 5000 })
    db.exec('pragma query_only = on; pragma cache_size = -8192')
    return db
  } catch (cause) {
    throw storeFault(cause, `Store ${path}`)
  }
}

/** Runs `work` in a transaction of its own, which is undone when it throws. */
export function inTransaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec('begin immediate')
  try {
    const result = work()
    db.exec('commit')
    return result
  } catch (error) {
    if (db.isTransaction) db.exec('rollback')
    throw error
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
    throw new StoreError(`${path} is not a TicketFlow store`, { advice: RESTORE })
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
