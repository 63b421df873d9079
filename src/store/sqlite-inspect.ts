import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'

import {
  assertOurs,
  assertWholeFile,
  indexPath,
  integer,
  newestSchema,
  RESTORE,
  schemaVersion,
  storeFault,
  StoreError,
  storePath,
} from './sqlite-files.ts'

const TABLES = ['tickets', 'deliveries', 'timeline', 'jobs'] as const

/** How many faults of a damaged file are named. */
const FAULTS = 3

/** Rows in each table. */
export type Counts = Record<(typeof TABLES)[number], number>

export type StoreFacts = { schema: number; newestSchema: number; counts: Counts }

/**
 * Reads a whole store to know that it is sound and ours. `thorough` also compares every index with its table. `named`
 * is what messages call the file. Throws StoreError, saying what is wrong with it.
 */
export function inspectStore(
  path: string,
  options: { thorough?: boolean; isPrivate?: boolean; named?: string } = {},
): StoreFacts {
  const { thorough = false, isPrivate = false, named = path } = options
  return reading(path, { isPrivate, named }, (db) => {
    assertOurs(db, named)
    const faults = db.prepare(`pragma ${thorough ? 'integrity_check' : 'quick_check'}(${FAULTS})`).all()
    // One row may be several lines, the first of them a heading.
    const lines = faults.flatMap((row) => String(Object.values(row)[0]).split('\n'))
    const messages = lines.filter((line) => !line.startsWith('***')).slice(0, FAULTS)
    if (messages.join() !== 'ok') {
      throw new StoreError(`${named} is damaged: ${messages.join('; ')}`, { advice: RESTORE })
    }
    return { schema: schemaVersion(db), newestSchema: newestSchema(), counts: countRows(db) }
  })
}

/** Rows of a store now. Throws StoreError when it is not one of ours. */
export function countStore(path: string): Counts {
  return reading(path, { isPrivate: false, named: path }, (db) => {
    assertOurs(db, path)
    return countRows(db)
  })
}

/** How many tickets and changes the search index does not hold yet; null when there is no index, or none to read. */
export function indexBehind(directory: string): number | null {
  const path = indexPath(directory)
  if (!existsSync(path)) return null
  try {
    const indexed = reading(path, { isPrivate: false, named: path }, (db) => ({
      tickets: integer(db, 'select ticket_id from progress'),
      entries: integer(db, 'select entry_id from progress'),
    }))
    return reading(storePath(directory), { isPrivate: false, named: 'the store' }, (db) => {
      const tickets = integer(db, 'select max(id) from tickets') - indexed.tickets
      const entries = integer(db, 'select max(id) from timeline') - indexed.entries
      return Math.max(0, tickets) + Math.max(0, entries)
    })
  } catch {
    return null
  }
}

/** A private file is one that nobody else has open: it is read without locks, and without files of SQLite's beside it. */
function reading<T>(
  path: string,
  { isPrivate, named }: { isPrivate: boolean; named: string },
  read: (db: DatabaseSync) => T,
): T {
  let db: DatabaseSync | undefined
  try {
    assertWholeFile(path, named)
    const location = isPrivate ? `${pathToFileURL(path).href}?immutable=1` : path
    db = new DatabaseSync(location, { readOnly: true, timeout: 5000 })
    return read(db)
  } catch (cause) {
    if (cause instanceof StoreError) throw cause
    throw storeFault(cause, named)
  } finally {
    db?.close()
  }
}

function countRows(db: DatabaseSync): Counts {
  const counts = TABLES.map((table) => [table, integer(db, `select count(*) from ${table}`)])
  return Object.fromEntries(counts) as Counts // one entry for each of TABLES
}
