import { closeSync, existsSync, openSync, readdirSync, readSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import { createEraser } from '../core/erasure.ts'
import type { Found } from './erasing.ts'
import { createErasure } from './sqlite-erase.ts'
import { assertOurs, indexPath, integer, lockDirectory, newestSchema, openStore, storeFault } from './sqlite-files.ts'
import { isLocked, schemaVersion, StoreError, storePath } from './sqlite-files.ts'
import { removeIndex } from './sqlite-index.ts'

/** How long a server that runs beside may take to make its search index anew. */
const INDEX_MS = 60_000
const POLL_MS = 100
const BUSY_MS = 30_000
const CHUNK = 8_388_608

export type Erasure = Found & {
  /** Whether a server ran beside. */
  isLive: boolean
  /** Rows in which the address still is, by table: they came meanwhile, or it is part of a longer one there. */
  left: Record<string, number>
  /** Files of the directory in which it still is, though no row says why. */
  files: string[]
  /** False when the server beside has not made its search index anew yet. */
  isIndexNew: boolean
}

export type ErasureStep = 'tickets' | 'deliveries' | 'erasing' | 'compacting' | 'searching'

/**
 * Takes what is about a person out of the data directory, also beside a server that writes to it: out of the tables,
 * then out of what a database keeps of rows that are no more, then out of the search index. `isDry` only counts.
 * Throws StoreError.
 */
export async function erasePerson(options: {
  directory: string
  email: string
  isDry: boolean
  actor: string
  now: number
  onProgress: (step: ErasureStep, done: number, total: number) => void
}): Promise<Erasure> {
  const { directory, email, isDry, onProgress } = options
  const path = storePath(directory)
  if (!existsSync(path)) throw new StoreError(`There is no store in ${directory}; set TICKETFLOW_DATA_DIR to one`)
  const unlock = isDry ? null : lockUnlessRunning(directory)
  try {
    const isLive = unlock === null && isLocked(directory)
    const db = isDry ? openToRead(path) : openStore(path)
    let found: Found
    let erased = 0
    try {
      db.exec(`pragma secure_delete = on; pragma busy_timeout = ${BUSY_MS}`)
      found = eraseRows(db, options)
      erased = integer(db, `select max(id) from timeline where kind = 'erased'`)
      onProgress('compacting', 0, 1)
      if (!isDry) compact(db)
    } finally {
      db.close()
    }
    const none = { left: {}, files: [], isIndexNew: true }
    if (isDry) return { ...found, ...none, isLive }
    removeLeftovers(directory)
    const isIndexNew = await renewIndex(directory, { isOurs: unlock !== null, erased })
    const left = rowsWith(path, email)
    const held = filesWith(directory, email, (done, total) => onProgress('searching', done, total))
    const isExplained = Object.keys(left).length > 0
    const files = held.filter((name) => !isExplained || !/^(?:tickets|search)\.db(?:-wal)?$/.test(name))
    return { ...found, isLive, left, files, isIndexNew }
  } catch (cause) {
    if (cause instanceof StoreError) throw cause
    throw new StoreError(
      `${storeFault(cause, `Store ${path}`).message}; what was not erased yet is erased when it is run again`,
      { cause },
    )
  } finally {
    unlock?.()
  }
}

function eraseRows(
  db: DatabaseSync,
  { email, isDry, now, actor, onProgress }: Parameters<typeof erasePerson>[0],
): Found {
  const erasure = createErasure(db, createEraser(email), { isDry, now, actor })
  const { newest, found } = erasure
  const tickets = erasure.findTickets((done) => onProgress('tickets', done, Math.max(newest.ticket, newest.entry)))
  erasure.eraseDeliveries(tickets, (done) => onProgress('deliveries', done, newest.delivery))
  erasure.eraseTickets(tickets, (done) => onProgress('erasing', done, tickets.own.size + tickets.others.size))
  erasure.eraseDecisions(tickets)
  erasure.eraseKeys()
  erasure.eraseSources()
  erasure.eraseArticles()
  return found
}

/** Null when a server has the directory. Until it is called, none can start. */
function lockUnlessRunning(directory: string): (() => void) | null {
  try {
    return lockDirectory(directory)
  } catch (error) {
    if (isLocked(directory)) return null
    throw error
  }
}

function openToRead(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { readOnly: true, timeout: BUSY_MS })
  try {
    assertOurs(db, path)
    if (schemaVersion(db) === newestSchema()) return db
    throw new StoreError(`${path} is of an older version; start the server once and it is brought up to date`)
  } catch (error) {
    db.close()
    throw error
  }
}

/**
 * Writes the database anew, because free pages, and the free parts of others, hold rows as they were; then empties the
 * write-ahead log, which holds pages as they were.
 */
function compact(db: DatabaseSync): void {
  db.exec('vacuum')
  for (let tries = 0; tries < 10; tries += 1) {
    if (Number(db.prepare('pragma wal_checkpoint(truncate)').get()?.['busy']) === 0) return
  }
  throw new StoreError('The write-ahead log could not be emptied, because somebody reads the store; run it again')
}

/** What an interrupted restore left; none is under way, because it would have the directory to itself. */
function removeLeftovers(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (/^tickets\.db\.\d+\.partial/.test(name)) rmSync(join(directory, name), { force: true })
  }
}

/** Waits for the server beside to make its index anew (sqlite-index.ts), or removes the one that nobody uses. */
async function renewIndex(
  directory: string,
  { isOurs, erased }: { isOurs: boolean; erased: number },
): Promise<boolean> {
  const until = Date.now() + INDEX_MS
  for (let isFree = isOurs; ;) {
    if (isFree) {
      removeIndex(directory)
      return true
    }
    if (indexedEntry(directory) >= erased) return true
    if (Date.now() > until) return false
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    // The server may have been stopped meanwhile; the next start makes the index anew then, or this does.
    const unlock = lockUnlessRunning(directory)
    isFree = unlock !== null
    if (isFree) removeIndex(directory)
    unlock?.()
  }
}

/** Up to which history entry the index goes; -1 when it cannot be read at the moment. */
function indexedEntry(directory: string): number {
  try {
    const db = new DatabaseSync(indexPath(directory), { readOnly: true, timeout: 1000 })
    try {
      return integer(db, 'select entry_id from progress')
    } finally {
      db.close()
    }
  } catch {
    return -1
  }
}

/** Rows of each table that hold the address as it is written. */
function rowsWith(path: string, email: string): Record<string, number> {
  const db = new DatabaseSync(path, { readOnly: true, timeout: BUSY_MS })
  try {
    const tables = db.prepare(`select name from sqlite_schema where type = 'table'`).all()
    const counts = tables.map(({ name }): [string, number] => {
      const columns = db.prepare('select name from pragma_table_info(?)').all(String(name))
      const holds = columns.map((column) => `instr(lower(cast("${column['name']}" as text)), ?1) > 0`).join(' or ')
      const row = db.prepare(`select count(*) as rows from "${name}" where ${holds}`).get(email.toLowerCase())
      return [String(name), Number(row?.['rows'])]
    })
    return Object.fromEntries(counts.filter(([, rows]) => rows > 0))
  } finally {
    db.close()
  }
}

/**
 * Names of files that hold the address, byte by byte, in the spellings that a search can find. No database may be open
 * in this process but the lock: to close a file would give back its locks.
 */
function filesWith(directory: string, email: string, onProgress: (done: number, total: number) => void): string[] {
  const address = Buffer.from(email.toLowerCase()).toString('latin1')
  const wide = [...email.toLowerCase()].join('\0')
  const needles = [address, wide, address.replace('@', '%40'), address.replace('@', String.raw`\u0040`)]
  needles.push(`email${Buffer.from(email.toLowerCase()).toString('hex')}`) // as the search index has it
  const entries = readdirSync(directory, { withFileTypes: true, recursive: true })
  const names = entries.flatMap((entry) =>
    entry.isFile() && !entry.name.startsWith('server.lock') ? join(entry.parentPath, entry.name) : [],
  )
  const held = names.filter((name, index) => {
    onProgress(index, names.length)
    return holdsAny(name, needles)
  })
  return held.map((name) => name.slice(join(directory, '/').length))
}

function holdsAny(path: string, needles: string[]): boolean {
  const overlap = Math.max(...needles.map(({ length }) => length))
  const chunk = Buffer.alloc(CHUNK + overlap)
  let descriptor: number
  try {
    descriptor = openSync(path, 'r')
  } catch {
    return false // gone meanwhile, as a log is when its database is closed
  }
  try {
    for (let at = 0; ; at += CHUNK) {
      const read = readSync(descriptor, chunk, 0, chunk.length, at)
      const text = chunk.subarray(0, read).toString('latin1').toLowerCase()
      if (needles.some((needle) => text.includes(needle))) return true
      if (read < chunk.length) return false
    }
  } finally {
    closeSync(descriptor)
  }
}
