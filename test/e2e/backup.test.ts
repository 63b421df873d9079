import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { storePath } from '../../src/store/sqlite-files.ts'
import { ticketflow } from '../cli.ts'
import { discard, post, ROOT, startTestServer, temporaryDirectory } from '../server.ts'

const SENDERS = 8
const BACKUPS = 3

let folder: string
beforeAll(async () => {
  folder = await temporaryDirectory()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const dataIn = (directory: string) => ({ TICKETFLOW_DATA_DIR: directory, PORT: '0' })

/** What is sent under one key, and how it was answered. */
type Sent = { key: string; path: string; body: unknown; answer: string | null }

function workOf(number: number): Sent {
  const key = randomUUID()
  const ticket = (title: string) => ({ title, description: 'x'.repeat(500), id: title, platform: 'custom' })
  return number % 5 === 0
    ? { key, path: '/batch', body: [ticket(`${key}/0`), ticket(`${key}/1`)], answer: null }
    : { key, path: '', body: ticket(`${key}/0`), answer: null }
}

function senders(webhook: string) {
  const sent = new Map<string, Sent>()
  const state = { running: true, answered: 0 }
  const one = async () => {
    while (state.running) {
      const work = workOf(sent.size)
      sent.set(work.key, work)
      const { status, text } = await post(webhook + work.path, work.body, { 'idempotency-key': work.key })
      expect(status).toBe(200)
      work.answer = text
      state.answered += 1
      // Under way all the time, and few enough to be sent once more each.
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  const all = Promise.all(Array.from({ length: SENDERS }, one))
  return {
    sent,
    answered: () => state.answered,
    stop: async () => {
      state.running = false
      await all
    },
  }
}

function rowsOf(path: string) {
  const db = new DatabaseSync(path, { readOnly: true })
  const all = (sql: string) => db.prepare(sql).all()
  const rows = {
    keys: all('select idempotency_key as key from deliveries order by id').map(({ key }) => String(key)),
    titles: all('select title from tickets order by id').map(({ title }) => String(title)),
    gaps: all(`
      select 'ticket without its delivery' from tickets where delivery_id not in (select id from deliveries)
      union all select 'ticket without its job' from tickets where id not in (select ticket_id from jobs)
      union all select 'delivery without its ticket' from deliveries where ticket_id not in (select id from tickets)
      union all select 'numbers of tickets' where (select max(id) <> count(*) from tickets)
      union all select 'numbers of deliveries' where (select max(id) <> count(*) from deliveries)`),
  }
  db.close()
  return rows
}

test(
  'backups under load: all that was acknowledged before, nothing that was not sent, and each answers its retries',
  { timeout: 180_000 },
  async () => {
    const server = await startTestServer()
    const load = senders(server.webhook)
    const taken: { file: string; before: Set<string>; checkpoint: string }[] = []
    try {
      for (let number = 1; number <= BACKUPS; number += 1) {
        const from = load.answered()
        await expect.poll(load.answered, { timeout: 20_000 }).toBeGreaterThan(from + 60)
        const { stdout: checkpoint } = await ticketflow(['audit', 'checkpoint'], dataIn(server.dataDir))
        const before = new Set([...load.sent.values()].flatMap(({ key, answer }) => (answer === null ? [] : [key])))
        const file = join(folder, `b${number}.db`)
        expect(await ticketflow(['backup', file], dataIn(server.dataDir))).toMatchObject({ code: 0, stderr: '' })
        expect(load.answered()).toBeGreaterThan(before.size)
        taken.push({ file, before, checkpoint })
      }
    } finally {
      await load.stop()
      await discard(server)
    }

    for (const { file, before, checkpoint } of taken) {
      const target = `${file}.data`
      expect(await ticketflow(['restore', file], dataIn(target))).toMatchObject({ code: 0, stderr: '' })
      const { keys, titles, gaps } = rowsOf(storePath(target))
      expect(gaps).toEqual([])
      expect(new Set(keys).isSupersetOf(before)).toBe(true)
      expect(new Set(load.sent.keys()).isSupersetOf(new Set(keys))).toBe(true)
      expect(new Set(keys).size).toBe(keys.length)
      // Each delivery whole: of a batch both tickets or neither.
      const expected = keys.flatMap((key) =>
        load.sent.get(key)?.path === '/batch' ? [`${key}/0`, `${key}/1`] : [`${key}/0`],
      )
      expect(titles).toEqual(expected)
      const verified = await ticketflow(['audit', 'verify', '--checkpoint', checkpoint], dataIn(target))
      expect(verified).toMatchObject({ code: 0, stdout: expect.stringContaining('contains 1 checkpoint') })

      const restored = await startTestServer(dataIn(target))
      try {
        const again = async (key: string) => {
          const work = load.sent.get(key)
          if (work === undefined) return expect.unreachable(key)
          const { status, text, headers } = await post(restored.webhook + work.path, work.body, {
            'idempotency-key': key,
          })
          return expect([status, headers.get('idempotency-replayed'), text]).toEqual([200, 'true', work.answer])
        }
        for (let from = 0; from < keys.length; from += 50) await Promise.all(keys.slice(from, from + 50).map(again))
        expect(rowsOf(storePath(target)).titles).toEqual(titles)
      } finally {
        await discard(restored)
      }
    }
  },
)

test('what a killed backup left is removed by the next one of the same name, and what another is writing is not', async () => {
  const server = await startTestServer()
  const place = await temporaryDirectory()
  try {
    const tickets = Array.from({ length: 1000 }, (_, index) => ({ title: `T ${index}`, description: 'x'.repeat(900) }))
    for (let round = 0; round < 10; round += 1) await post(`${server.webhook}/batch`, tickets)
    const file = join(place, 'b.db')
    const names = () => readdir(place)
    const killed = spawn(process.execPath, ['bin/ticketflow.js', 'backup', file], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], ...dataIn(server.dataDir) },
      stdio: 'ignore',
    })
    const ended = new Promise((resolve) => killed.once('exit', resolve))
    await expect.poll(names, { timeout: 10_000, interval: 2 }).not.toEqual([])
    killed.kill('SIGKILL')
    await ended
    // Killed too late it would have left nothing: then this shows nothing, and says so.
    expect(await names()).toContain(`b.db.${killed.pid}.partial`)

    const mine = `b.db.${process.pid}.partial`
    for (const other of [mine, 'b.db.old.partial', `c.db.${killed.pid}.partial`])
      await writeFile(join(place, other), '')
    expect(await ticketflow(['backup', file], dataIn(server.dataDir))).toMatchObject({ code: 0 })
    expect((await names()).toSorted()).toEqual(
      ['b.db', mine, 'b.db.old.partial', `c.db.${killed.pid}.partial`].toSorted(),
    )
  } finally {
    await discard(server)
    await rm(place, { recursive: true })
  }
})
