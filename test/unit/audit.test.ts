import { hash } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  type Checkpoint,
  checkpointJson,
  checkpointLine,
  checkpointsIn,
  ERASED,
  GENESIS,
  isErased,
  linkOf,
  sealOf,
} from '../../src/core/audit.ts'
import { verifyAudit } from '../../src/store/audit.ts'
import { openAudit } from '../../src/store/sqlite-audit.ts'
import { storePath } from '../../src/store/sqlite-files.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import type { NewDelivery, Store } from '../../src/store/store.ts'
import { ROOT, temporaryDirectory } from '../server.ts'

describe('the canonical text', () => {
  const entry = {
    id: 7,
    receivedAt: 1_763_888_760_000,
    source: 'open',
    address: '192.0.2.1',
    method: 'POST',
    path: '/api/integrations/webhook?a="b"',
    headers: '{"host":"x"}',
    bodySha256: hash('sha256', '{}'),
    hasBody: true,
    bodySize: 2,
    requestId: 'r-1',
    platform: null,
    idempotencyKey: 'Größe 😀',
    outcome: 'created',
    status: 200,
    reason: null,
    ticketId: 3,
    durationUs: 950,
    replayOf: null,
  }
  const SEAL_TEXT = `["salt","192.0.2.1","/api/integrations/webhook?a=\\"b\\"","{\\"host\\":\\"x\\"}","${entry.bodySha256}",true,"r-1","Größe 😀",null]`

  test('is what the page says, so that others can compute it', () => {
    const seal = sealOf(entry, 'salt')
    expect(seal).toBe(hash('sha256', SEAL_TEXT))
    const text = `["${GENESIS}",7,1763888760000,"open","POST",2,null,"created",200,3,950,"${seal}"]`
    expect(linkOf(GENESIS, entry, seal)).toBe(hash('sha256', text))
    expect(linkOf(GENESIS, entry, seal)).toBe('118899e9af3b47de8c6dc6937e5374d1f749777a585cfb3690d863cd5cb3788b')
  })

  test('a delivery that plays another again commits to that one', () => {
    const seal = sealOf(entry, 'salt')
    const text = `["${GENESIS}",7,1763888760000,"open","POST",2,null,"created",200,3,950,"${seal}",4]`
    expect(linkOf(GENESIS, { ...entry, replayOf: 4 }, seal)).toBe(hash('sha256', text))
  })

  test('changes with each thing that a row says', () => {
    const all = { ...entry, platform: 'jira', reason: 'r', replayOf: 4 }
    const link = (row: typeof all) => linkOf(GENESIS, row, sealOf(row, 'salt'))
    for (const [field, value] of Object.entries(all)) {
      const other = typeof value === 'number' ? value + 1 : typeof value === 'boolean' ? !value : `${value} `
      expect([field, link({ ...all, [field]: other })]).not.toEqual([field, link(all)])
    }
  })

  test('of a lone surrogate is that of what is stored for it', () => {
    expect(sealOf({ ...entry, reason: 'a\uD800' }, 's')).toBe(sealOf({ ...entry, reason: 'a\u{FFFD}' }, 's'))
  })
})

describe('a checkpoint', () => {
  const one: Checkpoint = { deliveryId: 7, receivedAt: 1_763_888_760_000, link: 'a'.repeat(64) }
  const two = { ...one, deliveryId: 8 }

  test('is read back from lines and from JSON', () => {
    expect(checkpointsIn(checkpointLine(one))).toEqual([one])
    expect(checkpointsIn(`${checkpointLine(one)}\r\n\n  ${checkpointLine(two)}\n`)).toEqual([one, two])
    expect(checkpointsIn(JSON.stringify(checkpointJson(one), null, 2))).toEqual([one])
    const all = { ...checkpointJson(one), others: [checkpointJson(two)] }
    expect(checkpointsIn(JSON.stringify(all))).toEqual([one, two])
    for (const others of ['', [null], [{}], {}, 5]) {
      expect(checkpointsIn(JSON.stringify({ ...all, others }))).toBeNull()
    }
  })

  test.each([
    '',
    'hello',
    '{',
    '{}',
    `${checkpointLine(one)}\nhello`,
    checkpointLine(one).slice(0, -1),
    checkpointLine({ ...one, deliveryId: 0 }),
    checkpointLine(one).replace('2025', 'year'),
  ])('%j is none', (text) => expect(checkpointsIn(text)).toBeNull())
})

const COUNT = 12
let directory: string
let checkpoints: Checkpoint[]
beforeEach(async () => {
  directory = await temporaryDirectory()
  checkpoints = []
  await withStore(async (store) => {
    for (let index = 1; index <= COUNT; index += 1) {
      await submit(store, { body: `{"title":"t${index}"}`, idempotencyKey: `k${index}` })
      checkpoints.push((await store.checkpoint()) ?? expect.fail('no checkpoint'))
    }
  })
})
afterEach(() => rm(directory, { recursive: true, force: true }))

async function withStore(use: (store: Store) => Promise<void>): Promise<void> {
  const onDeath = (error: Error) => expect.unreachable(error.message)
  const store = await openSqliteStore({ directory, maxQueued: 100, maxQueuedBytes: 1e6, onDeath })
  await use(store)
  await store.close()
}

function submit(store: Store, { body = '{}', ...over }: Partial<NewDelivery> & { body?: string }) {
  const delivery: NewDelivery = {
    receivedAt: Date.now(),
    source: 'open',
    address: '192.0.2.1',
    method: 'POST',
    path: '/api/integrations/webhook',
    headers: '{"host":"x"}',
    body,
    bodySize: body.length,
    bodySha256: hash('sha256', body),
    requestId: 'r',
    platform: 'flat',
    idempotencyKey: null,
    keyIsPlatforms: false,
    fingerprint: null,
    receivedSha256: null,
    replayOf: null,
    ...over,
  }
  return store.submit({ kind: 'refusal', delivery, status: 400, reason: 'no' })
}

function plant(...statements: string[]): void {
  const db = new DatabaseSync(storePath(directory))
  for (const sql of statements) db.exec(sql)
  db.close()
}

async function verify(given: Checkpoint[] = []) {
  const audit = openAudit(directory)
  try {
    return await verifyAudit(audit, { checkpoints: given })
  } finally {
    audit.close()
  }
}

const swap = (a: number, b: number) => [
  `update deliveries set id = -1 where id = ${a}`,
  `update deliveries set id = ${a} where id = ${b}`,
  `update deliveries set id = ${b} where id = -1`,
]
const shift = (from: number) => [
  `update deliveries set id = -id where id >= ${from}`,
  `update deliveries set id = 1 - id where id < 0`,
]
const COLUMNS = `received_at, source, address, method, path, headers, body, body_size, body_sha256, request_id, platform,
  outcome, status, reason, ticket_id, duration_us, answer, salt, link`
const copy = (from: number, to: number) =>
  `insert into deliveries (id, ${COLUMNS}) select ${to}, ${COLUMNS} from deliveries where id = ${from}`

test('an untouched log is whole', async () => {
  expect(await verify()).toMatchObject({ rows: COUNT, fault: null, first: checkpoints[0], last: checkpoints.at(-1) })
  expect(await verify(checkpoints)).toMatchObject({ proven: COUNT, fault: null })
})

test.each([
  'received_at = received_at + 1',
  'received_at = 9223372036854775807',
  "path = path || char(0) || 'x'",
  'reason = char(0)',
  "source = 'x'",
  "address = '192.0.2.2'",
  "method = 'PUT'",
  "path = path || '?'",
  `headers = '{"host":"y"}'`,
  'body_size = 0',
  `body_sha256 = '${'0'.repeat(64)}'`,
  "request_id = 's'",
  'platform = null',
  "idempotency_key = 'other'",
  'idempotency_key = null',
  "outcome = 'created'",
  'status = 200',
  'reason = null',
  'ticket_id = 1',
  'duration_us = duration_us + 1',
  "salt = salt || 'x'",
  'salt = null',
  "link = replace(link, substr(link, 1, 1), 'x')",
  "body = replace(body, 't5', 't6')",
  "body = cast(body as blob) || x'00'",
  'body = null',
  "seal = 'x'",
])('a row in which %s was set is found', async (assignment) => {
  plant(`update deliveries set ${assignment} where id = 5`)
  expect(await verify()).toMatchObject({ rows: 4, fault: { deliveryId: 5, kind: 'changed' } })
})

test('what may change later is no fault: the answer that is kept late', async () => {
  plant(`update deliveries set answer = '{}'`)
  expect(await verify()).toMatchObject({ rows: COUNT, fault: null })
})

test.each<[string, string[], number, string]>([
  ['a row in the middle removed', ['delete from deliveries where id = 5'], 5, 'removed'],
  ['three rows removed', ['delete from deliveries where id between 5 and 7'], 5, 'removed'],
  ['the first row removed', ['delete from deliveries where id = 1'], 1, 'removed'],
  ['two rows swapped', swap(5, 6), 5, 'displaced'],
  ['two rows far apart swapped', swap(3, 11), 3, 'displaced'],
  ['a forged row put between', [...shift(5), copy(3, 5)], 5, 'displaced'],
  [
    'a forged row without a link put between',
    [...shift(5), copy(3, 5), 'update deliveries set link = null where id = 5'],
    5,
    'displaced',
  ],
  ['a forged row at the end', [copy(3, COUNT + 1)], COUNT + 1, 'changed'],
  [
    'a forged row without a link at the end',
    [copy(3, COUNT + 1), `update deliveries set link = null where id = ${COUNT + 1}`],
    COUNT + 1,
    'displaced',
  ],
  ['a forged row before the first', [copy(3, 0)], 0, 'displaced'],
  [
    'a removed row whose gap was closed',
    ['delete from deliveries where id = 5', 'update deliveries set id = id - 1 where id > 5'],
    5,
    'changed',
  ],
  ['the anchor moved behind the end', ['update audit_anchor set delivery_id = 99'], 1, 'displaced'],
  ['the anchor moved into the middle', ['update audit_anchor set delivery_id = 5'], 1, 'displaced'],
  ['the anchor given another link', [`update audit_anchor set link = '${'1'.repeat(64)}'`], 1, 'changed'],
])('%s is found', async (_name, statements, deliveryId, kind) => {
  plant(...statements)
  expect((await verify()).fault).toMatchObject({ deliveryId, kind })
})

test('a row whose link was made to fit is found at the next one', async () => {
  const db = new DatabaseSync(storePath(directory))
  db.exec(`update deliveries set status = 200 where id = 5`)
  db.close()
  rewrite(5, 5)
  expect(await verify()).toMatchObject({ rows: 5, fault: { deliveryId: 6, kind: 'changed' } })
})

/** Links rows anew, as somebody would who can write to the store and knows how it is done. */
function rewrite(from: number, to: number): void {
  const db = new DatabaseSync(storePath(directory))
  for (let id = from; id <= to; id += 1) {
    const before = String(db.prepare('select link from deliveries where id = ?').get(id - 1)?.['link'] ?? GENESIS)
    const row = db.prepare('select * from deliveries where id = ?').get(id) ?? {}
    const text = (name: string) => String(row[name])
    const entry = {
      id,
      receivedAt: Number(row['received_at']),
      source: text('source'),
      address: text('address'),
      method: text('method'),
      path: text('path'),
      headers: text('headers'),
      bodySha256: text('body_sha256'),
      hasBody: row['body'] !== null,
      bodySize: Number(row['body_size']),
      requestId: text('request_id'),
      platform: text('platform'),
      idempotencyKey: text('idempotency_key'),
      outcome: text('outcome'),
      status: Number(row['status']),
      reason: text('reason'),
      ticketId: null,
      durationUs: Number(row['duration_us']),
      replayOf: null,
    }
    const link = linkOf(before, entry, sealOf(entry, text('salt')))
    db.prepare('update deliveries set link = ? where id = ?').run(link, id)
  }
  db.close()
}

describe('with a checkpoint kept elsewhere', () => {
  const at = (id: number) => checkpoints.slice(id - 1, id)

  test('the newest rows cut off are seen, and without one they are not', async () => {
    plant('delete from deliveries where id > 9')
    expect((await verify()).fault).toBeNull()
    expect((await verify(at(9))).fault).toBeNull()
    expect((await verify(at(10))).fault).toMatchObject({ deliveryId: 10, kind: 'truncated' })
  })

  test('the newest cut off and written anew by the server itself are seen', async () => {
    plant('delete from deliveries where id > 9')
    await withStore(async (store) => {
      for (let index = 0; index < 5; index += 1) await submit(store, {})
    })
    expect(await verify()).toMatchObject({ rows: 14, fault: null })
    expect((await verify(checkpoints)).fault).toMatchObject({ deliveryId: 10, kind: 'rewritten' })
  })

  test('a log of which all was written anew is seen, and without one it is not', async () => {
    plant(`update deliveries set status = 200 where id = 1`)
    rewrite(1, COUNT)
    expect((await verify()).fault).toBeNull()
    expect((await verify(at(12))).fault).toMatchObject({ deliveryId: 12, kind: 'rewritten' })
  })

  test('a log begun anew, behind old rows without links, is seen', async () => {
    plant(`update deliveries set link = null`, `update audit_anchor set delivery_id = 12`)
    expect(await verify()).toMatchObject({ rows: 0, uncovered: 12, fault: null })
    expect((await verify(at(12))).fault).toMatchObject({ deliveryId: 12, kind: 'rewritten' })
  })

  test('all of it removed is seen', async () => {
    plant(`delete from deliveries`)
    expect((await verify(at(1))).fault).toMatchObject({ deliveryId: 1, kind: 'truncated' })
  })

  test('rows cut off that retention is said to have taken are seen', async () => {
    plant(`update audit_anchor set delivery_id = 7, link = '${'1'.repeat(64)}'`, 'delete from deliveries where id <= 7')
    expect((await verify(at(7))).fault).toMatchObject({ kind: 'changed', deliveryId: 8 })
  })
})

test('one person can be erased from the log, and the chain is as whole as before', async () => {
  const db = new DatabaseSync(storePath(directory))
  const audit = openAudit(directory)
  const { rows } = await audit.auditPage(0, COUNT)
  audit.close()
  for (const row of rows.filter(({ id }) => id % 5 === 0)) {
    db.prepare(
      `update deliveries set address = ?, path = ?, headers = ?, body_sha256 = ?, request_id = ?, idempotency_key = null,
         reason = null, body = null, answer = null, seal = ?, salt = null where id = ?`,
    ).run(
      ERASED.address,
      ERASED.path,
      ERASED.headers,
      ERASED.bodySha256,
      ERASED.requestId,
      sealOf(row, row.salt ?? ''),
      row.id,
    )
  }
  expect(await verify(checkpoints)).toMatchObject({ rows: COUNT, erased: 2, proven: COUNT, fault: null })
  expect(isErased({ ...ERASED, hasBody: true })).toBe(false)

  db.exec(`update deliveries set body = 'something else' where id = 10`)
  expect((await verify()).fault).toMatchObject({ deliveryId: 10, kind: 'changed' })
  db.exec(`update deliveries set body = null, address = '203.0.113.9' where id = 10`)
  expect((await verify()).fault).toMatchObject({ deliveryId: 10, kind: 'changed' })
  db.exec(`update deliveries set status = 201 where id = 5`)
  expect((await verify()).fault).toMatchObject({ deliveryId: 5, kind: 'changed' })
  db.close()
})

test('a store from before the chain is taken on: its rows are not covered, the next ones are', async () => {
  await rm(directory, { recursive: true })
  directory = await temporaryDirectory()
  const db = new DatabaseSync(storePath(directory))
  for (const name of ['0001-intake', '0002-events']) {
    db.exec(await readFile(join(ROOT, `src/store/migrations/${name}.sqlite.sql`), 'utf8'))
  }
  db.exec(`pragma application_id = ${0x54464c57}; pragma user_version = 2`)
  const insert = db.prepare(
    `insert into deliveries values (?, 1, 'open', '', 'POST', '/', '{}', null, 0, '', 'r', null, null, 'rejected', 400, 'no', null, 1, null)`,
  )
  for (let id = 1; id <= 3; id += 1) insert.run(id)
  db.close()
  expect(() => openAudit(directory)).toThrow(/written by an older TicketFlow; start the server once/)

  await withStore(async (store) => {
    expect(await store.checkpoint()).toBeNull()
    expect(await verifyAudit(store)).toMatchObject({ rows: 0, uncovered: 3, fault: null })
    await submit(store, {})
    await submit(store, {})
    const expected = { rows: 2, first: { deliveryId: 4 }, fault: null }
    expect(await verifyAudit(store)).toMatchObject({ ...expected, uncovered: 3, isPruned: false })
    expect(await store.prune(1000)).toBe(3)
    expect(await verifyAudit(store)).toMatchObject({ ...expected, uncovered: 0, isPruned: false })
    expect(await store.delivery(3)).toBeNull()
  })
})
