import { hash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { verifyAudit, verifyChains } from '../../src/store/audit.ts'
import { openPostgresStore } from '../../src/store/postgres.ts'
import { articleHash } from '../../src/core/article.ts'
import { erasePostgresPerson } from '../../src/store/postgres-erase.ts'
import { makePartsAhead } from '../../src/store/postgres-schema.ts'
import type { Receipt, Submission } from '../../src/store/store.ts'
import { startPostgres, type TestPostgres } from '../postgres.ts'
import { ROOT } from '../server.ts'
import { delivery, ticketOf as ticket } from './store.ts'

type Opened = Awaited<ReturnType<typeof openPostgresStore>>

/** Of the schema, each in a file. */
const STEPS = readdirSync(join(ROOT, 'src/store/migrations/postgres')).length

/** A slow machine is no fault of the store's. */
const PATIENCE = { timeout: 60_000, interval: 50 }

let postgres: TestPostgres
const opened: Opened[] = []

// A server of their own: these tests crash it.
beforeAll(async () => {
  postgres = await startPostgres({ own: true })
}, 120_000)
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close()
})
afterAll(() => postgres?.stop())

async function open(url: string, node = 'one', readers = 4): Promise<Opened> {
  const store = await openPostgresStore({ url, node, readers, maxQueued: 10_000, maxQueuedBytes: 67_108_864 })
  opened.push(store)
  return store
}

async function ask(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client(url)
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}
const number = async (url: string, sql: string) => Number(Object.values((await ask(url, sql))[0] ?? {})[0])

/** Every chain of the store is whole, and they have this many rows together. */
async function expectWhole(store: Opened, rows: number): Promise<void> {
  let found = 0
  for (const node of await store.auditNodes()) {
    const report = await verifyAudit(store, { node })
    expect(report).toMatchObject({ fault: null, uncovered: 0 })
    found += report.rows
  }
  expect(found).toBe(rows)
}

const UNAVAILABLE = { code: 'unavailable' }

describe('two nodes on one database', () => {
  test('make one ticket of an identity, and take one key once, whoever gets it first', async () => {
    const url = await postgres.database()
    const nodes = [await open(url, 'one'), await open(url, 'two')]
    const names = Array.from({ length: 60 }, (_, index) => `t${index}`)
    const byIdentity = await Promise.all(
      names.flatMap((externalId) => nodes.map((store) => store.submit(ticket({ externalId }, { body: externalId })))),
    )
    const byKey = await Promise.all(
      names.flatMap((key) => nodes.map((store) => store.submit(ticket({}, { body: key, idempotencyKey: key })))),
    )
    for (const receipts of [byIdentity, byKey]) {
      const created = receipts.filter(({ outcome }) => outcome === 'created')
      expect(created).toHaveLength(60)
      expect(receipts.filter(({ replayed }) => replayed)).toHaveLength(60)
      expect(new Set(receipts.map(({ answer }) => answer)).size).toBe(60)
    }
    expect(await number(url, 'select count(*) from tickets')).toBe(120)
    expect(await number(url, 'select count(*) from graphile_worker.jobs')).toBe(120)
    expect(await number(url, 'select count(*) from delivery_keys')).toBe(60)
    for (const store of nodes) await expectWhole(store, 240)
  })

  test('or one under load, which commits two groups at a time, make one ticket of an identity all the same', async () => {
    const url = await postgres.database()
    const store = await open(url)
    const send = (from: number, count: number) =>
      Array.from({ length: count }, (_, index) => `t${from + index}`).map((externalId) =>
        store.submit(ticket({ externalId }, { body: externalId })),
      )
    const first = send(0, 100)
    // In the second group while the first is under way, half of it the same.
    while (store.queued() > 0) await new Promise(setImmediate)
    const receipts = await Promise.all([...first, ...send(50, 100), ...send(0, 20)])
    expect(receipts.filter(({ outcome }) => outcome === 'created')).toHaveLength(150)
    expect(receipts.filter(({ replayed }) => replayed)).toHaveLength(70)
    expect(await number(url, 'select count(*) from tickets')).toBe(150)
    expect(await store.auditNodes()).toEqual(['one', 'one.lane2'])
    await expectWhole(store, 220)
    expect(await verifyChains(store, () => {})).toMatchObject({ rows: 220, fault: null })
    await ask(
      url,
      `update deliveries set reason = 'x' where id = (select max(id) from deliveries where node = 'one.lane2')`,
    )
    expect((await verifyChains(store, () => {})).fault).toMatchObject({ kind: 'changed' })
  })

  test('that are called the same go on with one chain, and never fork it', async () => {
    const url = await postgres.database()
    const [one, two] = [await open(url), await open(url)]
    for (let round = 0; round < 10; round += 1) await Promise.all([one.submit(ticket()), two.submit(ticket())])
    await expectWhole(one, 20)
    expect(await one.checkpoint()).toEqual(await two.checkpoint())
  })

  test('make tickets of what is new in a group that repeats others, however the numbers were reckoned', async () => {
    const url = await postgres.database()
    const store = await open(url)
    const keyed = () => ticket({ externalId: 'a' }, { body: 'a', idempotencyKey: 'a' })
    await store.submit(keyed())
    const { ticketId: lost } = await store.submit(ticket())
    await ask(url, 'delete from nodes')
    const receipts = await Promise.all([keyed(), ticket(), keyed(), ticket()].map((one) => store.submit(one)))
    expect(receipts.map(({ outcome }) => outcome)).toEqual(['duplicate', 'created', 'duplicate', 'created'])
    expect(receipts.every(({ ticketId }) => ticketId !== lost)).toBe(true)
    expect(await number(url, 'select count(*) from tickets')).toBe(4)
  })

  test('merge what crosses once, while updates for both come in', async () => {
    const url = await postgres.database()
    const [one, two] = [await open(url, 'one'), await open(url, 'two')]
    for (let round = 0; round < 20; round += 1) {
      const names = [`a${round}`, `b${round}`]
      const [a = 0, b = 0] = (await Promise.all(names.map((externalId) => one.submit(ticket({ externalId }))))).map(
        ({ ticketId }) => ticketId ?? 0,
      )
      const updates = names.flatMap((externalId) =>
        [one, two].map((store) => store.submit(ticket({ externalId, title: 'changed' }))),
      )
      const merges = await Promise.allSettled([one.mergeTicket(a, b, 'ann'), two.mergeTicket(b, a, 'bob')])
      expect(merges.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
      for (const receipt of await Promise.all(updates)) expect(receipt.outcome).toBe('updated')
      expect([...(await one.mergedInto(a)), ...(await one.mergedInto(b))]).toHaveLength(1)
    }
    // What comes for many merged ones at once, in any order, is told to each that stands for one, and no node waits for ever.
    const merged = (await one.tickets({ limit: 100, merged: true })).map(({ id, merged: by }) => ({
      id,
      into: by?.into,
    }))
    expect(merged).toHaveLength(20)
    await Promise.all(
      [one, two].flatMap((store) =>
        Array.from({ length: 20 }, (_, round) => [`a${round}`, `b${round}`])
          .flat()
          .map((externalId) => store.submit(ticket({ externalId, title: `${externalId} again` }, { source: 'late' }))),
      ),
    )
    for (const { into = 0 } of merged) {
      const told = ((await two.timeline(into)) ?? []).filter(
        ({ kind, actor }) => kind === 'relayed' && actor === 'late',
      )
      expect(told).toHaveLength(1)
    }
  })

  test('change one ticket at once, and both changes are there', async () => {
    const url = await postgres.database()
    const [one, two] = [await open(url, 'one'), await open(url, 'two')]
    const { ticketId } = await one.submit(ticket({ externalId: '7' }))
    await Promise.all([
      one.changeTicket(ticketId ?? 0, { category: 'billing' }, 'ann'),
      two.changeTicket(ticketId ?? 0, { status: 'open' }, 'bob'),
      ...[one, two].flatMap((store) => [1, 2, 3].map((n) => store.submit(ticket({ externalId: '7', title: `${n}` })))),
    ])
    expect(await one.ticket(ticketId ?? 0)).toMatchObject({ category: 'billing', status: 'open' })
    // The same body never came twice: nothing was taken for a repeat, and nothing is missing.
    expect(await two.timeline(ticketId ?? 0)).toHaveLength(9)
  })

  test('play a refused delivery again at once, and make one ticket of it', async () => {
    const url = await postgres.database()
    const nodes = [await open(url, 'one'), await open(url, 'two')]
    const refused = await nodes[0]?.submit({ kind: 'refusal', delivery: delivery(), status: 400, reason: 'no' })
    const replayOf = refused?.deliveryId ?? 0
    const receipts = await Promise.all(
      nodes.flatMap((store) => [1, 2, 3].map(() => store.submit(ticket({}, { replayOf })))),
    )
    expect(new Set(receipts.map(({ ticketId }) => ticketId)).size).toBe(1)
    expect(receipts.filter(({ outcome }) => outcome === 'created')).toHaveLength(1)
  })

  test('hear of each other’s keys and sources', async () => {
    const url = await postgres.database()
    const [one, two] = [await open(url, 'one'), await open(url, 'two')]
    let told = 0
    two.keyStore.onKeysChanged(() => (told += 1))
    const key = {
      id: 'tf_1',
      hash: hash('sha256', 'a'),
      name: 'a',
      scopes: ['read' as const],
      rate: null,
      createdAt: 1,
    }
    await one.keyStore.addKey({ ...key, expiresAt: null, revokedAt: null, lastUsedAt: null })
    await vi.waitFor(() => expect(told).toBe(1), PATIENCE)
    expect(await two.keyStore.keys()).toMatchObject([{ id: 'tf_1' }])
  })

  test('tell each other of whatever else happens, word for word', async () => {
    const url = await postgres.database()
    const [one, two] = [await open(url, 'one'), await open(url, 'two')]
    const heard: string[] = []
    for (const {
      postgres: { bus },
    } of [one, two])
      bus.subscribe('tickets', (message) => heard.push(String(message)))
    await one.postgres.bus.publish('tickets', 'ticket 7 changed')
    await ask(url, `select pg_notify('ticketflow', '${two.postgres.bus.payload('tickets', 'from SQL')}')`)
    await vi.waitFor(
      () => expect(heard.toSorted()).toEqual(['from SQL', 'from SQL', 'ticket 7 changed', 'ticket 7 changed']),
      PATIENCE,
    )
  })
})

describe('a database that goes away', () => {
  /** Sends until it is taken, as a sender does; tells of each refusal. */
  async function insist(store: Opened, submission: Submission, onRefused: (error: unknown) => void): Promise<Receipt> {
    for (;;) {
      try {
        return await store.submit(submission)
      } catch (error) {
        onRefused(error)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }

  test('in the middle of the load loses nothing that was acknowledged, and doubles nothing', async () => {
    const url = await postgres.database()
    const store = await open(url)
    const refusals: unknown[] = []
    const receipts: Receipt[] = []
    const crashed = { times: 0 }
    const senders = Array.from({ length: 16 }, async (_, sender) => {
      for (let index = 0; crashed.times < 2 || index < 20; index += 1) {
        const key = `${sender}-${index}`
        const submission = ticket({ externalId: key, title: key }, { body: key, idempotencyKey: key })
        receipts.push(await insist(store, submission, (error) => refusals.push(error)))
      }
    })
    while (crashed.times < 2) {
      const before = receipts.length
      await vi.waitFor(() => expect(receipts.length).toBeGreaterThan(before + 50), PATIENCE)
      await postgres.crash()
      crashed.times += 1
    }
    await Promise.all(senders)
    for (const refusal of refusals) expect(refusal).toMatchObject(UNAVAILABLE)
    expect(refusals.length).toBeGreaterThan(0)
    const acknowledged = new Set(receipts.map(({ ticketId }) => ticketId))
    expect(acknowledged.size).toBe(receipts.length)
    const ids = (await ask(url, 'select id from tickets')).map(({ id }) => Number(id))
    expect(new Set(ids)).toEqual(acknowledged)
    expect(await number(url, 'select count(distinct ticket_id) from delivery_keys')).toBe(receipts.length)
    expect(await number(url, 'select count(*) from graphile_worker.jobs')).toBe(receipts.length)
    await expectWhole(store, await number(url, 'select count(*) from deliveries'))
  }, 180_000)

  test('is unavailable for every question, and served again when it is back, events too', async () => {
    const url = await postgres.database()
    const store = await open(url)
    let missed = 0
    store.postgres.bus.subscribe('tickets', (message) => message === null && (missed += 1))
    const { ticketId } = await store.submit(ticket())
    const { promise: until, resolve: recover } = Promise.withResolvers<void>()
    const back = postgres.crash({ until })
    const questions = () => [
      store.submit(ticket()),
      store.changeTicket(ticketId ?? 0, { status: 'open' }, 'api'),
      store.ticket(1),
      store.tickets({ limit: 1, q: 'printer' }),
      store.auditStart(),
      store.probe(),
      store.prune(0),
      store.keyStore.keys(),
    ]
    await vi.waitFor(() => expect(store.probe()).rejects.toMatchObject(UNAVAILABLE), PATIENCE)
    for (const result of await Promise.allSettled(questions())) {
      expect(result).toMatchObject({ status: 'rejected', reason: UNAVAILABLE })
    }
    recover()
    await back
    await vi.waitFor(() => store.probe(), PATIENCE)
    await vi.waitFor(() => expect(missed).toBeGreaterThan(0), PATIENCE)
    for (const result of await Promise.allSettled(questions())) expect(result).toMatchObject({ status: 'fulfilled' })
    await expectWhole(store, 2)
  }, 180_000)

  test('to a standby that only reads takes nothing, and says so', async () => {
    const url = await postgres.database()
    const store = await open(url)
    const { pathname } = new URL(url)
    const name = pathname.slice(1)
    await ask(url, `alter database ${name} set default_transaction_read_only = on`)
    await ask(
      url,
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}' and pid <> pg_backend_pid()`,
    )
    await vi.waitFor(async () => {
      await expect(store.submit(ticket())).rejects.toMatchObject({ message: expect.stringContaining('read-only') })
    }, PATIENCE)
    await expect(store.submit(ticket())).rejects.toMatchObject(UNAVAILABLE)
    await vi.waitFor(() => store.tickets({ limit: 1 }), PATIENCE)
  })

  test('does not let readers wait for ever for a connection', async () => {
    const url = await postgres.database()
    const store = await open(url, 'one', 1)
    const held = await store.postgres.pool.connect()
    await expect(store.ticket(1)).rejects.toMatchObject(UNAVAILABLE)
    expect(await store.submit(ticket())).toMatchObject({ outcome: 'created' })
    held.release()
    expect(await store.ticket(1)).toMatchObject({ id: 1 })
  })
})

describe('the database', () => {
  test('is brought up to date once, however many nodes start at once', async () => {
    const url = await postgres.database()
    const nodes = await Promise.all(['a', 'b', 'c', 'd'].map((node) => open(url, node)))
    await Promise.all(nodes.map((store) => store.submit(ticket())))
    expect(await number(url, 'select count(*) from ticketflow_schema')).toBe(STEPS)
    expect(await nodes[0]?.auditNodes()).toEqual(['a', 'b', 'c', 'd'])
    await expectWhole(await open(url, 'a'), 4)
  }, 60_000)

  test('one step newer is used as it is, and one of a later version is not', async () => {
    const url = await postgres.database()
    await (await open(url)).submit(ticket())
    await ask(url, `insert into ticketflow_schema (version, name) values (${STEPS + 1}, 'of the next version')`)
    await (await open(url, 'two')).submit(ticket())
    await ask(url, `insert into ticketflow_schema (version, name) values (${STEPS + 2}, 'of one later')`)
    await expect(open(url)).rejects.toThrow(/newer TicketFlow/)
  })

  test('that cannot be reached is named in one sentence, without its password', async () => {
    const failed = open('postgres://somebody:hunter2@127.0.0.1:1/tickets').catch((error: Error) => error.message)
    expect(await failed).toMatch(/^The database of DATABASE_URL cannot be used: .*ECONNREFUSED/)
    expect(await failed).not.toContain('hunter2')
  })

  test('has a part for each month, and what was in no part moves into its own', async () => {
    const url = await postgres.database()
    const store = await open(url)
    const january = Date.UTC(2020, 0, 15)
    const { deliveryId } = await store.submit(ticket({}, { receivedAt: january, body: 'then' }))
    await store.submit(ticket())
    const partOf = async (id: number) =>
      (await ask(url, `select tableoid::regclass::text as part from deliveries where id = ${id}`))[0]?.['part']
    expect(await partOf(deliveryId)).toBe('deliveries_default')
    await makePartsAhead(url, january)
    expect(await partOf(deliveryId)).toBe('deliveries_2020_01')
    expect(await partOf(deliveryId + 1)).toMatch(/^deliveries_20\d\d_\d\d$/)
    expect(await store.delivery(deliveryId)).toMatchObject({ body: 'then' })
    await expectWhole(store, 2)
  })

  test('forgets what is past its retention, node by node, and drops the months that are then empty', async () => {
    const url = await postgres.database()
    const [one, two] = [await open(url, 'one'), await open(url, 'two')]
    const january = Date.UTC(2020, 0, 15)
    await makePartsAhead(url, january)
    for (const store of [one, two]) {
      for (const key of ['a', 'b', 'c'])
        await store.submit(
          ticket({}, { receivedAt: january, body: key, idempotencyKey: key, source: store.postgres.node }),
        )
    }
    await one.submit(ticket())
    // The newest of each chain stays, whatever its age.
    expect(await one.prune(Date.now() - 86_400_000)).toBe(5)
    expect(await number(url, 'select count(*) from delivery_keys')).toBe(1)
    expect(await number(url, `select count(*) from pg_class where relname = 'deliveries_2020_01'`)).toBe(1)
    expect(await number(url, `select count(*) from pg_class where relname = 'deliveries_2020_02'`)).toBe(0)
    await two.submit(ticket())
    expect(await two.prune(Date.now() - 86_400_000)).toBe(1)
    expect(await number(url, `select count(*) from pg_class where relname = 'deliveries_2020_01'`)).toBe(0)
    expect(await number(url, 'select count(*) from tickets')).toBe(8)
    await expectWhole(one, 2)
  })

  test('takes every text and every name, however long, with a NUL in it or half a character', async () => {
    const url = await postgres.database()
    const store = await open(url)
    const odd = `a\0b\uD800${'😀'.repeat(250)}`
    const said = {
      title: odd,
      description: `${'word '.repeat(50_000)}${'x'.repeat(5000)}`,
      category: odd,
      platform: odd,
      account: odd,
      externalId: odd,
      userEmail: odd,
      event: {
        kind: 'commented' as const,
        comment: { id: odd.repeat(10), body: odd, public: true, author: odd, author_id: null, by_staff: null },
        standIn: { title: '', description: '' },
        reply: null,
      },
    }
    const row = { body: odd, idempotencyKey: odd, fingerprint: odd, path: odd, platform: odd }
    const first = await store.submit(ticket(said, row))
    expect(first).toMatchObject({ outcome: 'created' })
    expect(await store.submit(ticket(said, row))).toMatchObject({ outcome: 'duplicate', answer: first.answer })
    expect(await store.submit(ticket(said, { ...row, idempotencyKey: null }))).toMatchObject({ outcome: 'duplicate' })
    expect((await store.delivery(first.deliveryId))?.body).toBe(Buffer.from(odd).toString())
    const refused = delivery({ ...row, idempotencyKey: null })
    await store.submit({ kind: 'refusal', delivery: refused, status: 400, reason: odd })
    expect(await store.tickets({ limit: 10, category: odd.toWellFormed() })).toHaveLength(1)
    expect(await store.tickets({ limit: 10, q: 'a\0b', platform: '\0' })).toEqual([])
    expect(await store.changeTicket(1, { category: '\0' }, 'api')).toMatchObject({ category: '\u{FFFD}' })
    expect(await store.deliveries({ limit: 10, source: '\0' })).toEqual([])
    await expectWhole(store, 4)
  })

  test('erases one person, leaves everybody else, and its chains are as whole as before', async () => {
    const url = await postgres.database()
    const store = await open(url)
    const email = 'ann.secret@person.example'
    const comment = {
      id: 'c',
      body: `from Ann.Secret@Person.example`,
      public: true,
      author: email,
      author_id: null,
      by_staff: false,
    }
    const standIn = { title: '', description: '' }
    const event = { kind: 'commented' as const, comment, standIn, reply: null }
    const key = { body: `{"from":"${email}"}`, idempotencyKey: `mail-${email}` }
    const { ticketId: own } = await store.submit(ticket({ externalId: '1', userEmail: email, title: 'Mine' }, key))
    const { ticketId: other } = await store.submit(
      ticket({ externalId: '2', description: `Ask ${email} about rubber` }),
    )
    await store.submit(ticket({ externalId: '3', event }, { body: `<${email}>` }))
    await store.submit(ticket({ externalId: `id-${email}` }))
    await store.submit(ticket({ externalId: '4', title: 'Joann', description: 'joann.secret@person.example' }))
    await store.changeTicket(own ?? 0, { status: 'open' }, 'api')
    await store.mergeTicket(own ?? 0, other ?? 0, 'api')
    const said = {
      title: `Ask ${email}`,
      format: 'text' as const,
      labels: ['people'],
      body: `It is ${email} who knows.`,
    }
    const { articleStore } = store
    const made = await articleStore.saveArticle(
      { ...said, source: null, sha256: articleHash(said), chunks: [{ heading: said.title, text: said.body }] },
      { at: 1 },
    )
    const article = made?.id ?? 0
    let told = 0
    const stop = articleStore.onArticlesChanged(() => (told += 1))
    const erase = (isDry: boolean) =>
      erasePostgresPerson(url, { email: email.toUpperCase(), isDry, actor: 'test', now: 1, onProgress: () => {} })
    const counted = await erase(true)
    expect(counted).toMatchObject({ tickets: 1, mentions: 3, deliveries: 3, articles: 1 })
    // Joann's address holds it, and stays.
    expect(await erase(false)).toEqual({ ...counted, left: { tickets: 1 } })
    expect(await erase(false)).toMatchObject({ tickets: 0, mentions: 0, deliveries: 0, timeline: 0 })
    expect(await store.ticket(own ?? 0)).toMatchObject({ title: '[erased]', userEmail: null, status: 'closed' })
    // Which ticket stands for it is about nobody.
    expect((await store.timeline(own ?? 0))?.at(-2)).toMatchObject({ changes: { merged_into: { to: other } } })
    expect(await store.mergedInto(other ?? 0)).toEqual([own])
    expect(await articleStore.article(article)).toMatchObject({
      title: 'Ask [erased]',
      body: 'It is [erased] who knows.',
    })
    expect(await articleStore.chunks(article, null)).toMatchObject([
      { heading: 'Ask [erased]', text: 'It is [erased] who knows.' },
    ])
    expect(await articleStore.articles({ limit: 9, q: 'secret' })).toEqual([])
    expect(await articleStore.articles({ limit: 9, q: 'knows people' })).toHaveLength(1)
    await expect.poll(() => told, { timeout: 10_000 }).toBe(1)
    stop()
    expect((await store.timeline(own ?? 0))?.at(-1)).toMatchObject({ kind: 'erased', actor: 'test' })
    expect(await store.tickets({ limit: 9, q: 'rubber' })).toMatchObject([
      { id: other, description: 'Ask [erased] about rubber' },
    ])
    expect(await store.tickets({ limit: 9, q: email })).toEqual([])
    expect(await store.tickets({ limit: 9, q: 'joann secret' })).toHaveLength(1)
    // It is still the same ticket to its sender.
    expect(await store.submit(ticket({ externalId: '1', title: 'Mine' }))).toMatchObject({ ticketId: own })
    expect(await verifyAudit(store)).toMatchObject({ fault: null, rows: 6, erased: 3 })
  })
})
