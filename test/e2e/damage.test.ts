import { cp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import { indexPath, storePath } from '../../src/store/sqlite-files.ts'
import { type Run, ticketflow } from '../cli.ts'
import { discard, get, post, startTestServer, temporaryDirectory, type TestServer } from '../server.ts'

const PAGE = 8192
const TICKETS = 300

let folder: string
/** A store that was closed, and one whose server was killed: its newest commits are in its log alone. */
let closed: string
let killed: string
let server: TestServer | undefined

const dataIn = (directory: string) => ({ TICKETFLOW_DATA_DIR: directory, PORT: '0' })
const ticket = (number: number) => ({ id: `e-${number}`, title: `Ticket ${number}`, description: 'x'.repeat(1500) })

beforeAll(async () => {
  folder = await temporaryDirectory()
  closed = join(folder, 'closed')
  killed = join(folder, 'killed')
  const first = await startTestServer(dataIn(closed))
  const many = Array.from({ length: TICKETS - 1 }, (_, index) => ticket(index + 1))
  await post(`${first.webhook}/batch`, many)
  await post(first.webhook, ticket(TICKETS))
  await get(`${first.url}/api/tickets?q=ticket`)
  expect(await first.stop()).toBe(0)
  await cp(closed, killed, { recursive: true })
  const second = await startTestServer(dataIn(killed))
  for (let number = 1; number <= 20; number += 1) await post(second.webhook, ticket(TICKETS + number))
  await second.stop('SIGKILL')
})
afterAll(() => rm(folder, { recursive: true, force: true }))
afterEach(async () => {
  await discard(server)
  server = undefined
})

let copies = 0
async function spoiledCopy(from: string, spoil: (directory: string) => Promise<unknown>): Promise<string> {
  copies += 1
  const directory = join(folder, `copy-${copies}`)
  await cp(from, directory, { recursive: true })
  await spoil(directory)
  return directory
}

/** Leaf pages of a table or an index, in order. */
function leaves(name: string): number[] {
  const db = new DatabaseSync(storePath(closed), { readOnly: true })
  const rows = db.prepare(`select pageno from dbstat where name = ? and pagetype = 'leaf' order by pageno`).all(name)
  db.close()
  return rows.map((row) => Number(row['pageno']))
}

/** A leaf of the tickets, with as many before as after it. */
function middleLeaf(): number | undefined {
  const pages = leaves('tickets')
  return pages[pages.length >> 1]
}

async function change(path: string, at: number | ((bytes: Buffer) => number), bit = 0x10): Promise<void> {
  const bytes = await readFile(path)
  const place = typeof at === 'number' ? at : at(bytes)
  bytes[place] = (bytes[place] ?? 0) ^ bit
  await writeFile(path, bytes)
}

async function smear(path: string, page: number | undefined): Promise<void> {
  const bytes = await readFile(path)
  const start = ((page ?? 0) - 1) * PAGE
  await writeFile(path, bytes.fill(0xab, start, start + 8))
}

const inStore = (spoil: (path: string) => Promise<unknown>) => (directory: string) => spoil(storePath(directory))
const inLog = (spoil: (path: string) => Promise<unknown>) => (directory: string) => spoil(`${storePath(directory)}-wal`)
const half = async (path: string) => truncate(path, (await stat(path)).size >> 1)

type Case = {
  name: string
  spoil: (directory: string) => Promise<unknown>
  says: RegExp
  /** Of a store whose server was killed. */
  isKilled?: true
  /** What is not looked at when a server starts, or by the audit log. */
  passes?: ('serve' | 'verify')[]
}

const cases: Case[] = [
  { name: 'half a database', spoil: inStore(half), says: /is damaged: it was cut short, \d+ of \d+ bytes are there/ },
  {
    name: 'a database cut within its last page',
    spoil: inStore(async (path) => truncate(path, (await stat(path)).size - 2000)),
    says: /is damaged: it was cut short/,
  },
  { name: 'an empty database', spoil: inStore((path) => writeFile(path, '')), says: /is empty|is not a TicketFlow/ },
  { name: 'no database any more', spoil: inStore((path) => rm(path)), says: /is gone, and|There is no store in/ },
  {
    name: 'a foreign file',
    spoil: inStore((path) => writeFile(path, 'hi '.repeat(5000))),
    says: /is not a TicketFlow/,
  },
  { name: 'a bit of the header', spoil: inStore((path) => change(path, 3)), says: /is not a TicketFlow store/ },
  { name: 'the page of the schema', spoil: inStore((path) => smear(path, 1)), says: /is not a TicketFlow|is damaged/ },
  {
    name: 'a page in the middle of the tickets',
    spoil: inStore((path) => smear(path, middleLeaf())),
    says: /is damaged: database disk image is malformed/,
    passes: ['serve', 'verify'],
  },
  {
    name: 'the newest page of the tickets',
    spoil: inStore((path) => smear(path, leaves('tickets').at(-1))),
    says: /is damaged: database disk image is malformed/,
    passes: ['verify'],
  },
  {
    name: 'a page of an index',
    spoil: inStore((path) => smear(path, leaves('tickets_identity')[0])),
    says: /is damaged|could not be copied: database disk image is malformed/,
    passes: ['serve', 'verify'],
  },
  {
    name: 'a bit in the middle of the log',
    spoil: inLog((path) => change(path, (bytes) => bytes.length >> 1)),
    says: /-wal is damaged: \d+ commits in it cannot be read; .* truncate -s \d+ /,
    isKilled: true,
  },
  {
    name: 'a bit in the header of the log',
    spoil: inLog((path) => change(path, 9)),
    says: /-wal is damaged: \d+ commits/,
    isKilled: true,
  },
]

/** One sentence about the file, and what to do. */
function expectSentence({ code, stdout, stderr }: Run, says: RegExp): void {
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toMatch(says)
  expect(stderr.trim().split('\n')).toHaveLength(1)
  expect(stderr).toMatch(/^ticketflow: .*(restore|take another backup|set TICKETFLOW_DATA_DIR)/)
}

describe('what is spoiled is refused in one sentence by everything that reads it', () => {
  test.each(cases)('$name', { timeout: 60_000 }, async ({ spoil, says, isKilled, passes = [] }) => {
    const from = isKilled === true ? killed : closed
    const copy = () => spoiledCopy(from, spoil)
    const [backupOf, verified, doctored, served] = [await copy(), await copy(), await copy(), await copy()]
    const file = `${backupOf}.db`
    expectSentence(await ticketflow(['backup', file], dataIn(backupOf)), says)
    await expect(stat(file)).rejects.toThrow('ENOENT')

    if (!passes.includes('verify')) expectSentence(await ticketflow(['audit', 'verify'], dataIn(verified)), says)

    const { code, stdout, stderr } = await ticketflow(['doctor', '--json'], dataIn(doctored))
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
    const found = JSON.parse(stdout).findings.find(({ name }: { name: string }) => name === 'store')
    expect(found).toMatchObject({ state: 'fail', advice: expect.stringContaining('restore') })

    if (!passes.includes('serve')) expectSentence(await ticketflow(['serve'], dataIn(served)), says)

    const isThere = (await stat(storePath(verified)).catch(() => null)) !== null
    if (isKilled !== true && isThere) {
      const target = `${verified}-restored`
      expectSentence(
        await ticketflow(['restore', storePath(verified)], dataIn(target)),
        /is damaged|is not a TicketFlow/,
      )
      await expect(stat(storePath(target))).rejects.toThrow('ENOENT')
    }
  })
})

test('a server that meets a damaged page answers 503, never 500, and takes nothing more', async () => {
  const directory = await spoiledCopy(closed, (one) => smear(storePath(one), middleLeaf()))
  server = await startTestServer(dataIn(directory))
  const { url, webhook } = server
  expect((await fetch(`${webhook}/health`)).status).toBe(200)
  const statuses: number[] = []
  for (let id = 1; id <= TICKETS; id += 1) statuses.push((await fetch(`${url}/api/tickets/${id}`)).status)
  expect(new Set(statuses)).toEqual(new Set([200, 503]))
  for (const body of [ticket(1), ticket(9999)]) {
    const refused = await post(webhook, body)
    expect([refused.status, refused.json.detail]).toEqual([503, expect.stringContaining('The store is damaged')])
    expect(refused.headers.get('retry-after')).toBeTruthy()
  }
  expect(await get(`${webhook}/health`)).toMatchObject({ status: 503, json: { status: 'unhealthy' } })
  expect((await fetch(`${url}/readyz`)).status).toBe(503)
  expect((await fetch(`${url}/livez`)).status).toBe(200)
  expect(await server.stop()).toBe(0)
  const db = new DatabaseSync(storePath(directory), { readOnly: true })
  expect(db.prepare('select max(id) as id from deliveries').get()).toEqual({ id: 2 })
  db.close()
})

test('a damaged page that a delivery meets: that delivery and all after it get 503', async () => {
  const directory = await spoiledCopy(closed, (one) => smear(storePath(one), leaves('tickets_identity')[0]))
  server = await startTestServer(dataIn(directory))
  const answers = []
  for (let number = 1; number <= 40; number += 1) answers.push(await post(server.webhook, ticket(number * 7)))
  const first = answers.findIndex(({ status }) => status === 503)
  expect(first).toBeGreaterThanOrEqual(0)
  expect(answers.slice(first).every(({ status }) => status === 503)).toBe(true)
  expect((await fetch(`${server.webhook}/health`)).status).toBe(503)
})

test('a log that was lost is noticed by the search index, which was further', async () => {
  server = await startTestServer(dataIn(await spoiledCopy(closed, async () => {})))
  const { dataDir } = server
  const safe = join(folder, 'before.db')
  await cp(storePath(closed), safe)
  for (let number = 1; number <= 20; number += 1) await post(server.webhook, ticket(1000 + number))
  await server.stop()
  await cp(safe, storePath(dataDir))
  const refused = await ticketflow(['serve'], dataIn(dataDir))
  expectSentence(refused, /The store has fewer tickets than .*search\.db, .* remove .*search\.db to go on/)
  await rm(indexPath(dataDir))
  server = await startTestServer(dataIn(dataDir))
  expect((await get(`${server.url}/api/tickets?limit=1`)).json.tickets[0].id).toBe(TICKETS)
})

test('a log whose damage was cut off as the sentence says is used up to there', async () => {
  const directory = await spoiledCopy(
    killed,
    inLog((path) => change(path, (bytes) => bytes.length >> 1)),
  )
  await rm(indexPath(directory))
  const { stderr } = await ticketflow(['serve'], dataIn(directory))
  await truncate(`${storePath(directory)}-wal`, Number(/truncate -s (\d+)/.exec(stderr)?.[1]))
  server = await startTestServer(dataIn(directory))
  const { id } = (await get(`${server.url}/api/tickets?limit=1`)).json.tickets[0]
  expect(id).toBeGreaterThan(TICKETS)
  expect(id).toBeLessThan(TICKETS + 20)
})

test('a bit in a text: the audit log finds it in a delivery; in a ticket nothing does', async () => {
  const inBody = (bytes: Buffer) => bytes.indexOf('"title":"Ticket 300"') + 10
  const inRow = (bytes: Buffer) => {
    const text = bytes.toString('latin1')
    return /[^"]Ticket 300[^"]/.exec(text)?.index ?? expect.unreachable('the ticket is not in the file')
  }
  const delivery = await spoiledCopy(
    closed,
    inStore((path) => change(path, inBody, 1)),
  )
  const broken = await ticketflow(['audit', 'verify'], dataIn(delivery))
  expect(broken).toMatchObject({ code: 1, stdout: expect.stringMatching(/^Broken at delivery 2 \(changed\)/) })

  const row = await spoiledCopy(
    closed,
    inStore((path) => change(path, (bytes) => inRow(bytes) + 1, 1)),
  )
  const db = new DatabaseSync(storePath(row), { readOnly: true })
  expect(db.prepare('select title from tickets where id = ?').get(TICKETS)).toEqual({ title: 'Uicket 300' })
  db.close()
  expect(await ticketflow(['audit', 'verify'], dataIn(row))).toMatchObject({ code: 0 })
  expect(await ticketflow(['doctor'], dataIn(row))).toMatchObject({ code: 0 })
})
