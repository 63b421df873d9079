import { hash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { parseReceipt, publicKeysIn, receiptFault } from '../../src/core/receipt.ts'
import { ask, bearer, until } from '../ask.ts'
import { ticketflow } from '../cli.ts'
import { startPostgres, type TestPostgres } from '../postgres.ts'
import { startTestServer, temporaryDirectory, type TestServer } from '../server.ts'
import { openStream } from '../stream.ts'

const ADMIN = 'a'.repeat(40)
const CSRF = { 'x-ticketflow-csrf': '1' }
const LONG = { timeout: 120_000 }

let postgres: TestPostgres
let database: string
let homes: string[] = []
let nodes: TestServer[] = []
const [A, B] = [() => nodes[0] as TestServer, () => nodes[1] as TestServer] // started before every test

const startNode = (home: string, over: Record<string, string> = {}) =>
  startTestServer({ DATABASE_URL: database, TICKETFLOW_DATA_DIR: home, TICKETFLOW_ADMIN_KEY: ADMIN, ...over })

// A database server of its own, to be crashed, and two nodes on it that share nothing else.
beforeAll(async () => {
  postgres = await startPostgres({ own: true })
  database = await postgres.database()
  homes = await Promise.all([0, 1].map(temporaryDirectory))
  nodes = await Promise.all(homes.map((home) => startNode(home)))
}, 180_000)
afterAll(async () => {
  for (const node of nodes) await node.stop('SIGKILL')
  for (const home of homes) await rm(home, { recursive: true, force: true })
  await postgres?.stop()
}, 60_000)

async function signIn(node: TestServer, key = ADMIN): Promise<{ cookie: string }> {
  const answer = await ask(`${node.url}/api/session`, { method: 'POST', body: { key }, headers: CSRF })
  expect(answer.status).toBe(200)
  return { cookie: (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? '' }
}
const statusAt = async (node: TestServer, headers: Record<string, string>, path = '/api/keys') =>
  (await ask(`${node.url}${path}`, { headers })).status

test(
  'who signs in at one node is signed in at the other, at once, and who signs out there is out here',
  LONG,
  async () => {
    const [session, other] = [await signIn(A()), await signIn(A())]
    expect(await statusAt(B(), session)).toBe(200)
    expect(await statusAt(B(), session, '/api/session')).toBe(200)
    const { status } = await ask(`${B().url}/api/tickets`, {
      method: 'POST',
      body: { title: 't', description: 'd' },
      headers: { ...session, ...CSRF },
    })
    expect(status).toBe(201)
    expect(await statusAt(A(), session)).toBe(200)
    const stream = await openStream(A().url, session)
    await stream.heard(({ event }) => event === 'ready')

    const out = await ask(`${B().url}/api/session`, { method: 'DELETE', headers: { ...session, ...CSRF } })
    expect(out.status).toBe(204)
    expect(await statusAt(B(), session)).toBe(401)
    await until(async () => (await statusAt(A(), session)) === 401)
    expect(await stream.ended()).toBe(true)
    expect([await statusAt(A(), other), await statusAt(B(), other)]).toEqual([200, 200])
  },
)

test('a restart keeps who is signed in, but not with another key of the same name', LONG, async () => {
  const session = await signIn(A())
  await B().stop()
  nodes[1] = await startNode(homes[1] ?? '')
  expect(await statusAt(B(), session)).toBe(200)
  await B().stop()
  nodes[1] = await startNode(homes[1] ?? '', { TICKETFLOW_ADMIN_KEY: 'b'.repeat(40) })
  expect(await statusAt(B(), session)).toBe(401)
  await B().stop()
  nodes[1] = await startNode(homes[1] ?? '')
})

test('a key that is revoked at one node ends its sessions at the other', LONG, async () => {
  const made = await ask(`${A().url}/api/keys`, {
    method: 'POST',
    body: { name: 'one', scopes: ['admin'] },
    headers: bearer(ADMIN),
  })
  const { id, secret } = made.json as { id: string; secret: string }
  await until(async () => (await statusAt(A(), bearer(secret))) === 200)
  const session = await signIn(A(), secret)
  expect(await statusAt(B(), session)).toBe(200)
  await ask(`${A().url}/api/keys/${id}`, { method: 'DELETE', headers: bearer(ADMIN) })
  await until(async () => (await statusAt(B(), session)) === 401)
})

test('while the store is down nobody is told that he is signed out', LONG, async () => {
  const session = await signIn(A())
  const isUp = Promise.withResolvers<void>()
  const crash = postgres.crash({ until: isUp.promise })
  await expect.poll(() => statusAt(B(), session), { timeout: 30_000 }).toBe(503)
  // Nor is a page kept from whoever asks for it.
  expect(await statusAt(B(), session, '/api/health')).not.toBe(401)
  isUp.resolve()
  await crash
  await expect.poll(() => statusAt(B(), session), { timeout: 30_000 }).toBe(200)
})

test('a receipt of one node is verified by the keys that the other gives, and names its key', LONG, async () => {
  const body = JSON.stringify({ title: 'Printer on fire', description: 'It burns' })
  const answer = await fetch(B().webhook, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...bearer(ADMIN) },
    body,
  })
  const receipt = parseReceipt(answer.headers.get('ticketflow-receipt') ?? '')
  if (receipt === null) throw new Error('no receipt')
  const keysAt = async (node: TestServer) => (await ask(`${node.url}/.well-known/ticketflow-receipt-key`)).json.keys
  const [ofA, ofB] = [await keysAt(A()), await keysAt(B())]
  const ids = (keys: { kid: string }[]) => keys.map(({ kid }) => kid)
  expect(ids(ofA)).toHaveLength(2)
  expect(ids(ofA)[0]).not.toBe(receipt.keyId)
  expect(ids(ofB)[0]).toBe(receipt.keyId)
  expect(ids(ofB).toSorted()).toEqual(ids(ofA).toSorted())
  const keys = publicKeysIn(JSON.stringify({ keys: ofA }))
  expect(receiptFault(receipt, { bodySha256: hash('sha256', body), keys })).toBeNull()
  const own = keys.filter(({ keyId }) => keyId === ids(ofA)[0])
  expect(receiptFault(receipt, { bodySha256: hash('sha256', body), keys: own })).toMatchObject({ kind: 'key' })
})

test('the key of a node that is no more is listed, until it is withdrawn', LONG, async () => {
  const home = await temporaryDirectory()
  await (await startNode(home)).stop()
  await rm(home, { recursive: true, force: true })
  const env = { DATABASE_URL: database, TICKETFLOW_DATA_DIR: homes[0] ?? '' }
  const list = async () =>
    JSON.parse((await ticketflow(['receipt', 'keys', '--json'], env)).stdout).keys as { kid: string }[]
  const listed = await list()
  expect(listed).toHaveLength(3)
  const kid = listed[0]?.kid ?? ''
  const shown = async () =>
    JSON.stringify((await ask(`${A().url}/.well-known/ticketflow-receipt-key`)).json).includes(kid)
  expect(await shown()).toBe(true)
  expect(await ticketflow(['receipt', 'withdraw', kid], env)).toMatchObject({ code: 0, stderr: '' })
  await until(async () => !(await shown()))
  expect(await list()).toHaveLength(2)
  const again = await ticketflow(['receipt', 'withdraw', kid], env)
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('`ticketflow receipt keys` shows all') })
})
