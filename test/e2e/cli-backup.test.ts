import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { ticketflow } from '../cli.ts'
import { discard, get, post, startTestServer, temporaryDirectory, type TestServer } from '../server.ts'

const PAGE = 8192

let folder: string
let server: TestServer
/** A backup of a store with 500 tickets. */
let good: string

const dataIn = (directory: string) => ({ TICKETFLOW_DATA_DIR: directory })
const batch = (from: number, size: number) =>
  Array.from({ length: size }, (_, index) => ({
    id: `ext-${from + index}`,
    title: `Ticket ${from + index}`,
    description: 'x'.repeat(2000),
  }))

beforeAll(async () => {
  folder = await temporaryDirectory()
  server = await startTestServer()
  await post(`${server.webhook}/batch`, batch(1, 500))
  good = join(folder, 'good.db')
  expect(await ticketflow(['backup', good], dataIn(server.dataDir))).toMatchObject({ code: 0, stderr: '' })
})
afterAll(async () => {
  await discard(server)
  await rm(folder, { recursive: true, force: true })
})

function titles(path: string): string[] {
  const db = new DatabaseSync(path, { readOnly: true })
  const rows = db.prepare('select title from tickets order by id').all()
  db.close()
  return rows.map((row) => String(row['title']))
}

test('a backup taken while tickets come in holds all that were acknowledged before it', async () => {
  const busy = await startTestServer()
  try {
    const acknowledged: string[] = []
    const stop = new AbortController()
    const write = async () => {
      for (let from = 1; !stop.signal.aborted; from += 100) {
        const { status } = await post(`${busy.webhook}/batch`, batch(from, 100))
        expect(status).toBe(200)
        acknowledged.push(...batch(from, 100).map(({ title }) => title))
      }
    }
    const writing = write()
    await expect.poll(() => acknowledged.length, { timeout: 10_000 }).toBeGreaterThan(1000)

    const before = [...acknowledged]
    const file = join(folder, 'busy.db')
    const { code, stdout, stderr } = await ticketflow(['backup', file, '--json'], dataIn(busy.dataDir))
    const during = acknowledged.length - before.length
    stop.abort()
    await writing
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(during).toBeGreaterThan(0)

    const { counts } = JSON.parse(stdout)
    const target = join(folder, 'restored')
    expect(await ticketflow(['restore', file], dataIn(target))).toMatchObject({ code: 0, stderr: '' })
    const restored = await startTestServer(dataIn(target))
    try {
      const kept = titles(join(target, 'tickets.db'))
      expect(kept).toHaveLength(counts.tickets)
      expect(kept.slice(0, before.length)).toEqual(before)
      expect(new Set(acknowledged).isSupersetOf(new Set(kept))).toBe(true)
      expect((await get(`${restored.url}/api/tickets/${before.length}`)).json.title).toBe(before.at(-1))
      expect((await get(`${restored.url}/api/tickets?limit=1`)).json.tickets[0].title).toBe(kept.at(-1))
    } finally {
      await discard(restored)
    }
  } finally {
    await discard(busy)
  }
})

test('the backup of a store whose server was killed holds what was only in its log', async () => {
  const killed = await startTestServer()
  await post(`${killed.webhook}/batch`, batch(1, 50))
  await killed.stop('SIGKILL')
  const file = join(folder, 'killed.db')
  expect(await ticketflow(['backup', file], dataIn(killed.dataDir))).toMatchObject({ code: 0 })
  expect(titles(file)).toHaveLength(50)
  await discard(killed)
})

test('a backup is one file that only its owner can read, and replaces another with --force alone', async () => {
  const place = join(folder, 'place')
  await mkdir(place)
  const file = join(place, 'tickets.db')
  await writeFile(file, 'precious')
  const refused = await ticketflow(['backup', file], dataIn(server.dataDir))
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/is there already; .* --force\n$/) })
  expect(await readFile(file, 'utf8')).toBe('precious')

  expect(await ticketflow(['backup', file, '--force'], dataIn(server.dataDir))).toMatchObject({ code: 0 })
  expect(titles(file)).toHaveLength(500)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await readdir(place)).toEqual(['tickets.db'])
})

test.each([
  ['into the data directory itself', () => join(server.dataDir, 'tickets.db'), /is in the data directory/],
  ['into a folder that is not there', () => join(folder, 'no', 'such', 'x.db'), /There is no folder/],
  ['onto a folder', () => folder, /is there and is no file/],
])('refuses a backup %s', async (_name, file, message) => {
  const { code, stderr } = await ticketflow(['backup', file(), '--force'], dataIn(server.dataDir))
  expect(code).toBe(1)
  expect(stderr).toMatch(message)
  expect(stderr.trim().split('\n')).toHaveLength(1)
  expect((await get(`${server.url}/api/tickets/500`)).status).toBe(200)
})

test('refuses a backup where there is no store, and makes none', async () => {
  const empty = await temporaryDirectory()
  const { code, stderr } = await ticketflow(['backup', join(folder, 'none.db')], dataIn(empty))
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^ticketflow: There is no store in /) })
  expect(await readdir(empty)).toEqual([])
  expect(await readdir(folder)).not.toContain('none.db')
  await rm(empty, { recursive: true })
})

test('refuses to restore under a running server', async () => {
  const { code, stderr } = await ticketflow(['restore', good, '--force'], dataIn(server.dataDir))
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/in use by another running server/) })
  expect((await get(`${server.url}/api/tickets/500`)).status).toBe(200)
})

test('a store that is there is kept unless --force moves it aside, whole', async () => {
  const old = await startTestServer()
  await post(old.webhook, { title: 'Old one', description: 'Kept in the log alone' })
  await old.stop('SIGKILL')

  const refused = await ticketflow(['restore', good], dataIn(old.dataDir))
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/There is a store in .* already; --force/) })
  expect(await readdir(old.dataDir)).toContain('search.db')

  const forced = await ticketflow(['restore', good, '--force', '--json'], dataIn(old.dataDir))
  expect(forced).toMatchObject({ code: 0, stderr: '' })
  const { aside, counts } = JSON.parse(forced.stdout)
  expect(counts.tickets).toBe(500)
  expect(titles(aside)).toEqual(['Old one'])
  expect(await readdir(old.dataDir)).not.toContain('search.db')
  expect(titles(join(old.dataDir, 'tickets.db'))).toHaveLength(500)
  const again = await startTestServer(dataIn(old.dataDir))
  const { json } = await get(`${again.url}/api/tickets?q=old`)
  expect(json.tickets).toEqual([])
  await discard(again)
})

test.each([
  ['is damaged', damage, /is damaged/],
  ['has an index that does not fit its table', misindex, /is damaged: .*tickets_identity/],
  ['is cut short', async (path: string) => writeFile(path, (await readFile(path)).subarray(0, 400_000)), /is damaged/],
  ['is no database', (path: string) => writeFile(path, 'hello, '.repeat(1000)), /is not a TicketFlow store/],
  ['is empty', (path: string) => writeFile(path, ''), /is not a TicketFlow store/],
  [
    'is the database of another program',
    (path: string) => pragma(path, 'application_id = 7'),
    /is not a TicketFlow store/,
  ],
  ['is of a newer version', (path: string) => pragma(path, 'user_version = 99'), /written by a newer TicketFlow/],
  ['has its log beside it', (path: string) => writeFile(`${path}-wal`, 'frames'), /has a write-ahead log beside it/],
])('refuses a file that %s, and changes nothing', async (_name, spoil, message) => {
  const place = await temporaryDirectory()
  const file = join(place, 'backup.db')
  await cp(good, file)
  await spoil(file)
  const target = join(place, 'data')
  const { code, stderr } = await ticketflow(['restore', file], dataIn(target))
  expect(code).toBe(1)
  expect(stderr).toMatch(message)
  expect(stderr).toContain(file)
  expect(stderr.trim().split('\n')).toHaveLength(1)
  const left = await readdir(target).catch(() => [])
  expect(left.filter((name) => name !== 'server.lock')).toEqual([])
  await rm(place, { recursive: true })
})

/** Overwrites every second page after the first few. */
async function damage(path: string): Promise<void> {
  const bytes = await readFile(path)
  for (let page = 4; (page + 1) * PAGE <= bytes.length; page += 2) bytes.fill(0xab, page * PAGE, (page + 1) * PAGE)
  await writeFile(path, bytes)
}

/** Changes a ticket's external id where the unique index has it, and not in the table: every row can still be read. */
async function misindex(path: string): Promise<void> {
  const INDEX_LEAF = 0x0a
  const bytes = await readFile(path)
  for (let start = PAGE; start < bytes.length; start += PAGE) {
    const found = bytes[start] === INDEX_LEAF ? bytes.subarray(start, start + PAGE).indexOf('ext-250') : -1
    if (found >= 0) bytes.write('ext-25x', start + found)
  }
  await writeFile(path, bytes)
}

function pragma(path: string, assignment: string): void {
  const db = new DatabaseSync(path)
  db.exec(`pragma ${assignment}`)
  db.close()
}
