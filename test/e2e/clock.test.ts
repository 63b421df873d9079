import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { storePath } from '../../src/store/sqlite-files.ts'
import { ticketflow } from '../cli.ts'
import { createClock } from '../clock.ts'
import { discard, post, startTestServer, temporaryDirectory, type TestServer } from '../server.ts'

const HOUR = 3_600_000
const YEAR = 365 * 24 * HOUR

let folder: string
let data: string
let server: TestServer | undefined
beforeEach(async () => {
  folder = await temporaryDirectory()
  data = join(folder, 'data')
})
afterEach(async () => {
  await discard(server)
  server = undefined
  await rm(folder, { recursive: true, force: true })
})

async function startShifted(env: Record<string, string> = {}): Promise<TestServer> {
  await put(0)
  server = await startTestServer({ TICKETFLOW_DATA_DIR: data, ...createClock(folder).env, ...env })
  return server
}

const put = (ahead: number) => createClock(folder).put(ahead)

const read = async (url: string, secret: string) => {
  const response = await fetch(url, { headers: { authorization: `Bearer ${secret}` } })
  return { status: response.status, json: JSON.parse(await response.text()) }
}

test(
  'a clock that is put back, and far ahead, harms no limit, key, order, retry or chain',
  { timeout: 60_000 },
  async () => {
    const keys = async (...args: string[]) =>
      JSON.parse((await ticketflow(['keys', 'create', 'x', '--json', ...args], { TICKETFLOW_DATA_DIR: data })).stdout)
    const { secret: slow } = await keys('--rate', '3')
    const { secret: brief } = await keys('--days', '2')
    const { secret: admin } = await keys('--scope', 'admin')
    const { url, webhook } = await startShifted()
    const send = (number: number, secret = admin) =>
      post(
        webhook,
        { id: `e-${number}`, title: `T ${number}`, description: 'd' },
        { authorization: `Bearer ${secret}`, 'idempotency-key': `k-${number}` },
      )
    const statuses = async (secret: string, from: number, count: number) => {
      const all: number[] = []
      for (let number = from; number < from + count; number += 1) all.push((await send(number, secret)).status)
      return all
    }

    const first = await send(1)
    expect(first.status).toBe(200)
    expect(await statuses(slow, 100, 4)).toEqual([200, 200, 200, 429])
    expect((await send(2, brief)).status).toBe(200)

    await put(10 * YEAR)
    expect((await send(3)).status).toBe(200)
    expect(
      new Date((await read(`${url}/api/tickets?limit=1`, admin)).json.tickets[0].created_at).getTime(),
    ).toBeGreaterThan(Date.now() + 9 * YEAR)
    expect(await send(4, brief)).toMatchObject({ status: 401, json: { detail: expect.stringContaining('expired') } })
    expect(await statuses(slow, 200, 4)).toEqual([200, 200, 200, 429])
    expect((await send(1)).text).toBe(first.text)

    // Ten years back again, and three hours further: who was made to wait until then does not wait for years.
    await put(-3 * HOUR)
    expect(await statuses(slow, 300, 4)).toEqual([200, 200, 200, 429])
    expect((await send(5, brief)).status).toBe(200)
    const again = await send(1)
    expect([again.text, again.headers.get('idempotency-replayed')]).toEqual([first.text, 'true'])
    expect((await send(6)).status).toBe(200)
    // A search sees what was taken a moment ago, whatever the clock says.
    const found = await read(`${url}/api/tickets?q=T`, admin)
    expect(found.json.tickets.map(({ title }: { title: string }) => title).slice(0, 2)).toEqual(['T 6', 'T 5'])
    expect((await fetch(`${webhook}/health`)).status).toBe(200)

    const { json } = await read(`${url}/api/deliveries?limit=200`, admin)
    const ids = json.deliveries.map(({ id }: { id: number }) => id)
    expect(ids).toEqual(ids.toSorted((a: number, b: number) => b - a))
    const durations: number[] = json.deliveries.map(({ duration_ms: ms }: { duration_ms: number }) => ms)
    expect(durations.filter((ms) => ms < 0 || ms > 60_000)).toEqual([])
    expect(await ticketflow(['audit', 'verify'], { TICKETFLOW_DATA_DIR: data })).toMatchObject({ code: 0 })

    // The next start, with a clock that is still behind.
    await server?.stop()
    const restarted = await startShifted()
    await put(-YEAR)
    expect(
      (await post(restarted.webhook, { title: 'a', description: 'b' }, { authorization: `Bearer ${admin}` })).status,
    ).toBe(200)
    const db = new DatabaseSync(storePath(data), { readOnly: true })
    expect(db.prepare('select count(*) as n from deliveries where id = 1').get()).toEqual({ n: 1 })
    db.close()
  },
)

test('a clock put back does not stop the log from being moved into the store', { timeout: 60_000 }, async () => {
  const { webhook } = await startShifted()
  const ticket = (number: number) => ({ title: `T ${number}`, description: 'x'.repeat(100_000) })
  for (let number = 0; number < 20; number += 1) await post(webhook, ticket(number))
  await new Promise((resolve) => setTimeout(resolve, 500))
  await put(-5 * HOUR)
  const moved = () => {
    const db = new DatabaseSync(storePath(data), { readOnly: true })
    const row = db.prepare('pragma wal_checkpoint(noop)').get()
    db.close()
    return Number(row?.['log']) - Number(row?.['checkpointed'])
  }
  for (let number = 0; number < 20; number += 1) await post(webhook, ticket(number))
  await expect.poll(moved, { timeout: 10_000 }).toBe(0)
})
