import { rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  isLocked,
  lockDirectory,
  newestSchema,
  openStore,
  prepareDirectory,
  schemaVersion,
  storePath,
} from '../../src/store/sqlite-files.ts'
import { temporaryDirectory } from '../server.ts'

let directory: string
beforeEach(async () => {
  directory = await temporaryDirectory()
})
afterEach(() => rm(directory, { recursive: true, force: true }))

test('a new store is durable by its settings and has the newest schema', () => {
  const db = openStore(storePath(directory))
  expect(db.prepare('pragma journal_mode').get()).toEqual({ journal_mode: 'wal' })
  expect(db.prepare('pragma synchronous').get()).toEqual({ synchronous: 2 })
  expect(schemaVersion(db)).toBe(newestSchema())
  db.close()
  openStore(storePath(directory)).close()
})

test('a store of a newer program is refused and left as it is', () => {
  const path = storePath(directory)
  const db = openStore(path)
  db.exec('pragma user_version = 999')
  db.close()
  expect(() => openStore(path)).toThrow(/schema 999.*newer TicketFlow/)
  const after = new DatabaseSync(path)
  expect(schemaVersion(after)).toBe(999)
  after.close()
})

test("another program's database is refused and left as it is", () => {
  const path = storePath(directory)
  const db = new DatabaseSync(path)
  db.exec('create table theirs (a); insert into theirs values (1)')
  db.close()
  expect(() => openStore(path)).toThrow('is not a TicketFlow store')
  const after = new DatabaseSync(path)
  expect(after.prepare('select a from theirs').all()).toEqual([{ a: 1 }])
  after.close()
})

test('a damaged file is refused with its name', async () => {
  await writeFile(storePath(directory), 'this is no database; '.repeat(1000))
  expect(() => openStore(storePath(directory))).toThrow(/tickets\.db is not a TicketFlow store/)
})

test('a directory is taken by one at a time, and free again afterwards', () => {
  expect(isLocked(directory)).toBe(false)
  const unlock = lockDirectory(directory)
  expect(isLocked(directory)).toBe(true)
  expect(() => lockDirectory(directory)).toThrow('in use by another running server')
  unlock()
  expect(isLocked(directory)).toBe(false)
  lockDirectory(directory)()
})

test('a data directory is made for its owner alone', async () => {
  const made = join(directory, 'deep', 'data')
  prepareDirectory(made)
  expect((await stat(made)).mode & 0o777).toBe(0o700)
})

test('a data directory that cannot be is refused in one sentence', async () => {
  await writeFile(join(directory, 'file'), '')
  expect(() => prepareDirectory(join(directory, 'file', 'data'))).toThrow(/cannot be written; set TICKETFLOW_DATA_DIR/)
})
