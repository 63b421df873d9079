import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { rm } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { json } from 'node:stream/consumers'

import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import { storePath } from '../../src/store/sqlite-files.ts'
import { startPostgres, type TestPostgres } from '../postgres.ts'
import { discard, get, post, startTestServer, temporaryDirectory, type TestServer } from '../server.ts'

const TIME = 300_000
const PATIENCE = { timeout: 120_000, interval: 100 }
const TICKETS = 40

/** A server of embeddings: what it was asked by each model, and how many questions for tickets it still answers. */
const asked: Record<string, string[]> = {}
let left = Infinity
const peer = createServer(async (request, response) => {
  const { model, input } = (await json(request)) as { model: string; input: string[] }
  const texts = input.filter((text) => text.startsWith('Order '))
  if (texts.length > 0) left -= 1
  if (left < 0) return
  ;(asked[model] ??= []).push(...texts)
  const data = input.map((text, index) => ({ index, embedding: [1, text.length % 7, model === 'a' ? 0 : 1] }))
  response.end(JSON.stringify({ data }))
})

let postgres: TestPostgres
beforeAll(async () => {
  await new Promise<void>((resolve) => peer.listen(0, '127.0.0.1', resolve))
  postgres = await startPostgres()
}, TIME)
afterAll(async () => {
  peer.closeAllConnections()
  peer.close()
  await postgres?.stop()
}, TIME)

let server: TestServer | undefined
afterEach(async () => {
  left = Infinity
  for (const model of Object.keys(asked)) delete asked[model]
  await discard(server)
  server = undefined
})

type Engine = {
  env: Record<string, string>
  models: () => Promise<Record<string, number>>
  /** Lets a minute pass for what is done again and again. */
  wait: () => Promise<void>
}

async function sqlite(directory: string): Promise<Engine> {
  const within = <T>(use: (db: DatabaseSync) => T): T => {
    const db = new DatabaseSync(storePath(directory), { timeout: 5000 })
    try {
      return use(db)
    } finally {
      db.close()
    }
  }
  return {
    env: {},
    models: async () =>
      within((db) =>
        Object.fromEntries(
          db
            .prepare('select model, count(*) as count from vectors group by model')
            .all()
            .map(({ model, count }) => [String(model), Number(count)]),
        ),
      ),
    wait: async () => within((db) => db.exec("update cron set next_at = 0 where name = 'vectors'")),
  }
}

async function database(): Promise<Engine> {
  const url = await postgres.database()
  const ask = async (sql: string) => {
    const client = new Client(url)
    await client.connect()
    try {
      return (await client.query<{ model: string; count: string }>(sql)).rows
    } finally {
      await client.end()
    }
  }
  return {
    env: { DATABASE_URL: url },
    models: async () => {
      const rows = await ask('select model, count(*) as count from vectors group by model')
      return Object.fromEntries(rows.map(({ model, count }) => [model, Number(count)]))
    },
    wait: async () => void (await ask("update ticketflow_jobs.cron set next_at = now() where name = 'vectors'")),
  }
}

describe.each(Object.entries({ sqlite, postgres: database }))('%s', (_, open) => {
  test(
    'another embedder reads all tickets anew in the background, and goes on where it was killed',
    async () => {
      const directory = await temporaryDirectory()
      const { env, models, wait } = await open(directory)
      const start = async (model: string) =>
        (server = await startTestServer({
          ...env,
          TICKETFLOW_DATA_DIR: directory,
          TICKETFLOW_TRIAGE: 'on',
          TICKETFLOW_EMBEDDER: 'openai',
          TICKETFLOW_EMBEDDER_URL: `http://127.0.0.1:${(peer.address() as AddressInfo).port}`,
          TICKETFLOW_EMBEDDER_MODEL: model,
        }))
      const first = await start('a')
      const tickets = Array.from({ length: TICKETS }, (_each, at) => ({ title: `Order ${at}`, description: 'Is late' }))
      await post(`${first.webhook}/batch`, tickets)
      await expect.poll(models, PATIENCE).toEqual({ 'openai:a': TICKETS })
      await first.stop()

      await wait()
      left = 2
      const second = await start('b')
      await expect.poll(models, PATIENCE).toEqual({ 'openai:a': TICKETS - 16, 'openai:b': 16 })
      const progress = async ({ url }: TestServer) => (await get(`${url}/api/triage`)).json.vectors
      expect(await progress(second)).toEqual({ tickets: TICKETS, missing: TICKETS - 16 })
      await second.stop('SIGKILL')

      await wait()
      left = Infinity
      const third = await start('b')
      await expect.poll(models, PATIENCE).toEqual({ 'openai:b': TICKETS })
      expect(asked['b']?.toSorted()).toEqual(tickets.map(({ title }) => `${title}\nIs late`).toSorted())
      // The newest first.
      expect(asked['b']?.slice(0, 16)).toContain(`Order ${TICKETS - 1}\nIs late`)
      await expect
        .poll(() => third.output(), PATIENCE)
        .toContain('all tickets that can be found as similar have vectors')
      expect(third.output()).toContain(`"tickets":${TICKETS - 16},"msg":"tickets without vectors are read`)
      expect(await progress(third)).toEqual({ tickets: TICKETS, missing: 0 })
      expect((await get(`${third.url}/api/tickets/1/similar`)).json.similar).toHaveLength(5)
      await rm(directory, { recursive: true, force: true })
    },
    TIME,
  )
})

test(
  'a stop does not wait for it',
  async () => {
    const directory = await temporaryDirectory()
    const start = (triage: string) =>
      startTestServer({
        TICKETFLOW_DATA_DIR: directory,
        TICKETFLOW_TRIAGE: triage,
        TICKETFLOW_EMBEDDER: 'openai',
        TICKETFLOW_EMBEDDER_URL: `http://127.0.0.1:${(peer.address() as AddressInfo).port}`,
        TICKETFLOW_EMBEDDER_MODEL: 'b',
      })
    server = await start('off')
    await post(`${server.webhook}/batch`, [{ title: 'Order 1', description: 'Is late' }])
    await server.stop()
    left = 0
    server = await start('on')
    await expect.poll(() => left, PATIENCE).toBeLessThan(0)
    const from = performance.now()
    expect(await server.stop()).toBe(0)
    expect(performance.now() - from).toBeLessThan(8000)
    await rm(directory, { recursive: true, force: true })
  },
  TIME,
)
