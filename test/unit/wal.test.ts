import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { beforeAll, expect, test } from 'vitest'

import { brokenLog } from '../../src/store/sqlite-wal.ts'
import { temporaryDirectory } from '../server.ts'

/** The log of a database of ten commits, the last of them larger than a page. */
let wal: Buffer
beforeAll(async () => {
  const folder = await temporaryDirectory()
  const path = join(folder, 'x.db')
  const db = new DatabaseSync(path)
  db.exec('pragma journal_mode = wal; pragma synchronous = full; create table t (a)')
  for (let index = 1; index < 9; index += 1) db.exec(`insert into t values (${index})`)
  db.exec(`insert into t values (zeroblob(20000))`)
  wal = readFileSync(`${path}-wal`)
  db.close()
  rmSync(folder, { recursive: true })
})

const withBit = (at: number) => {
  const bytes = Buffer.from(wal)
  bytes[at] = (bytes[at] ?? 0) ^ 4
  return bytes
}
const PAGE = 4096
const FRAME = 24 + PAGE

test('a whole log is whole, and so is none, an empty one, and one of zeros', () => {
  for (const log of [wal, Buffer.alloc(0), Buffer.alloc(20), Buffer.alloc(50_000)])
    expect(brokenLog(log, PAGE)).toBeNull()
})

test('a log that ends anywhere is what a crash leaves', () => {
  for (let end = 0; end < wal.length; end += 1000) expect(brokenLog(wal.subarray(0, end), PAGE)).toBeNull()
})

test('a turned bit with two commits or more at and after it is damage, and where it is is said', () => {
  // The first commit made the schema in two frames.
  const broken = brokenLog(withBit(32 + 4 * FRAME + 100), PAGE)
  expect(broken).toEqual({ offset: 32 + 4 * FRAME, lost: expect.any(Number) })
  expect(broken?.lost).toBeGreaterThanOrEqual(5)
  for (let at = 0; at < 32; at += 1)
    if (at < 4 || (at >= 8 && at < 12) || at >= 16) expect(brokenLog(withBit(at), PAGE)).not.toBeNull()
})

test('a turned bit in the last commit may be the one that a crash interrupted', () => {
  expect(brokenLog(withBit(wal.length - 10), PAGE)).toBeNull()
})

test('frames of an earlier use of the file are not lost commits', () => {
  const bytes = Buffer.from(wal)
  for (let at = 32 + 3 * FRAME; at < bytes.length; at += FRAME) bytes.writeUInt32BE(7, at + 8)
  expect(brokenLog(bytes, PAGE)).toBeNull()
})
