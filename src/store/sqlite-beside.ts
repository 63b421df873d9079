import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

import {
  assertOurs,
  assertWholeFile,
  isLocked,
  schemaVersion,
  storeFault,
  StoreError,
  storePath,
} from './sqlite-files.ts'
import { assertWholeLog } from './sqlite-wal.ts'

/**
 * Opens the store of `directory` to be read alone, also beside a server that writes to it; its questions are made by
 * `prepare`, and asked within `asked`. Throws StoreError, also where its schema is older than `schema`.
 */
export function openToRead<Queries>(directory: string, schema: number, prepare: (db: DatabaseSync) => Queries) {
  const path = storePath(directory)
  if (!existsSync(path)) throw new StoreError(`There is no store in ${directory}; set TICKETFLOW_DATA_DIR to one`)
  const asked = <T>(read: () => T): T => {
    try {
      return read()
    } catch (cause) {
      if (cause instanceof StoreError) throw cause
      throw storeFault(cause, path)
    }
  }
  if (!isLocked(directory)) assertWholeLog(path)
  const db = asked(() => {
    assertWholeFile(path)
    return new DatabaseSync(path, { readOnly: true, timeout: 5000 })
  })
  try {
    const queries = asked(() => {
      assertOurs(db, path)
      if (schemaVersion(db) >= schema) return prepare(db)
      throw new StoreError(
        `${path} was written by an older TicketFlow; start the server once, and it is brought up to date`,
      )
    })
    return { queries, asked, close: () => db.close() }
  } catch (error) {
    db.close()
    throw error
  }
}
