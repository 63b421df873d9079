import { randomUUID } from 'node:crypto'
import { chmod, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hash } from 'node:crypto'
import { parseReceipt, publicKeysIn, receiptFault } from '../../src/core/receipt.ts'
import { ticketflow } from '../cli.ts'
import { discard, get, post, startTestServer, temporaryDirectory, type TestServer } from '../server.ts'

const HEADER = 'ticketflow-receipt'
const KEY = '/.well-known/ticketflow-receipt-key'

let server: TestServer
let folder: string
beforeAll(async () => {
  folder = await temporaryDirectory()
  server = await startTestServer()
})
afterAll(async () => {
  await discard(server)
  await rm(folder, { recursive: true, force: true })
})

const keysOf = async (one: TestServer) => publicKeysIn(JSON.stringify((await get(`${one.url}${KEY}`)).json))
const ticket = (title: string) => JSON.stringify({ title, description: 'd' })

/** Verifies what was answered against what was sent, and returns what the receipt says. */
async function proven(one: TestServer, body: string, { headers }: { headers: Headers }) {
  const receipt = parseReceipt(headers.get(HEADER) ?? '')
  if (receipt === null) throw new Error(`no receipt: ${headers.get(HEADER)}`)
  expect(receiptFault(receipt, { bodySha256: hash('sha256', body), keys: await keysOf(one) })).toBeNull()
  return receipt
}

test('every answer under load from many senders carries a receipt that holds, each for its own ticket', async () => {
  const keys = await keysOf(server)
  const answers: { body: string; answer: Awaited<ReturnType<typeof post>> }[] = []
  const sender = async () => {
    for (let index = 0; index < 15; index += 1) {
      const body = ticket(randomUUID())
      answers.push({ body, answer: await post(server.webhook, body) })
    }
  }
  await Promise.all(Array.from({ length: 40 }, sender))
  const seen = answers.map(({ body, answer }) => {
    const receipt = parseReceipt(answer.headers.get(HEADER) ?? '')
    if (receipt === null) throw new Error('no receipt')
    const expected = { bodySha256: hash('sha256', body), keys, ticketId: answer.json.id }
    expect(receiptFault(receipt, expected)).toBeNull()
    return receipt
  })
  expect(new Set(seen.map(({ deliveryId }) => deliveryId)).size).toBe(600)
  expect(Math.max(...seen.map(({ leaves }) => leaves))).toBeGreaterThan(1)
  for (const receipt of [seen[0], seen[300], seen[599]]) {
    const { json } = await get(`${server.url}/api/deliveries/${receipt?.deliveryId}`)
    expect(json).toMatchObject({ link: receipt?.link, body_sha256: receipt?.bodySha256, ticket_id: receipt?.ticketId })
  }
})

test('a duplicate, an update, a batch, a compressed body and a ticket by hand have theirs; a refusal has none', async () => {
  const body = ticket('twice')
  const headers = { 'idempotency-key': randomUUID() }
  const first = await proven(server, body, await post(server.webhook, body, headers))
  const again = await proven(server, body, await post(server.webhook, body, headers))
  expect(again.ticketId).toBe(first.ticketId)
  expect(again.deliveryId).toBeGreaterThan(first.deliveryId)
  expect((await get(`${server.url}/api/deliveries/${again.deliveryId}`)).json).toMatchObject({
    outcome: 'duplicate',
    link: again.link,
  })

  const named = (title: string) => JSON.stringify({ title, description: 'd', id: 'r-1', platform: 'p' })
  const made = await proven(server, named('one'), await post(server.webhook, named('one')))
  const updated = await proven(server, named('two'), await post(server.webhook, named('two')))
  expect(updated.ticketId).toBe(made.ticketId)
  expect((await get(`${server.url}/api/deliveries/${updated.deliveryId}`)).json.link).toBe(updated.link)

  const batch = `[${ticket('a')},${ticket('b')},{}]`
  const many = await proven(server, batch, await post(`${server.webhook}/batch`, batch))
  expect(many.ticketId).toBeNull()
  expect((await get(`${server.url}/api/deliveries/${many.deliveryId}`)).json.link).toBe(many.link)
  await proven(server, '[{}]', await post(`${server.webhook}/batch`, '[{}]'))

  const byHand = await post(`${server.url}/api/tickets`, body)
  expect([byHand.status, (await proven(server, body, byHand)).ticketId]).toEqual([201, byHand.json.id])
  const packed = await fetch(server.webhook, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    body: gzipSync(body),
  })
  await proven(server, body, packed)

  const refused = await post(server.webhook, '{}')
  const reused = await post(server.webhook, ticket('other'), headers)
  expect([refused.status, refused.headers.get(HEADER)]).toEqual([400, null])
  expect([reused.status, reused.headers.get(HEADER)]).toEqual([422, null])
})

describe('the command line', () => {
  test('says what a receipt proves, of files, after the server is gone; and why another proves nothing', async () => {
    const own = await startTestServer()
    const body = ticket('kept')
    const at = (name: string) => join(folder, name)
    const key = await (await fetch(`${own.url}${KEY}`)).text()
    const { headers, json } = await post(own.webhook, body)
    const { headers: others } = await post(own.webhook, ticket('another'))
    const receipt = headers.get(HEADER) ?? ''
    await own.stop()
    await rm(own.dataDir, { recursive: true })
    await writeFile(at('receipt'), `TicketFlow-Receipt: ${receipt}\n`)
    await writeFile(at('body'), body)
    await writeFile(at('key'), key)
    const verify = (text: string, ...args: string[]) =>
      ticketflow(['receipt', 'verify', text, '--body', at('body'), '--key', at('key'), ...args])

    const good = await verify(at('receipt'))
    expect(good).toMatchObject({ code: 0, stderr: '' })
    expect(good.stdout).toMatch(new RegExp(`^Holds: this body was accepted as ticket ${json.id} and on disk by 20`))
    const shown = JSON.parse((await verify(receipt, '--ticket', String(json.id), '--json')).stdout)
    expect(shown).toMatchObject({
      ok: true,
      ticket_id: json.id,
      delivery_id: 1,
      body_sha256: hash('sha256', body),
      fault: null,
    })

    const pem = JSON.parse(key).keys[0].pem
    expect(await verify(receipt, '--key', pem)).toMatchObject({ code: 0 })
    const foreign = JSON.parse(await (await fetch(`${server.url}${KEY}`)).text())
    await writeFile(at('other'), ticket('another'))
    const signature = (others.get(HEADER) ?? '').replace(/.*sig=/, 'sig=')
    const bad: [string, Promise<{ code: number; stdout: string }>][] = [
      ['(body): The body is another one', verify(receipt, '--body', at('other'))],
      ['(ticket): The receipt is of ticket 1, not of ticket 7', verify(receipt, '--ticket', '7')],
      ['(position): The receipt is of delivery 1, not of delivery 2', verify(receipt, '--delivery', '2')],
      ['(altered): The receipt was altered', verify(receipt.replace('ticket=1;', 'ticket=7;'))],
      ['(altered): The receipt was altered', verify(receipt.replace('delivery=1;', 'delivery=2;'))],
      ['(signature): The signature is not one', verify(receipt.replace(/sig=.*/, signature))],
      ['(key): The receipt names the key', verify(receipt, '--key', JSON.stringify(foreign))],
    ]
    for (const [sentence, run] of bad) {
      const { code, stdout } = await run
      expect([code, stdout]).toEqual([1, expect.stringContaining(`Does not hold ${sentence}`)])
    }
    const none = await verify('no-such-file')
    expect(none).toMatchObject({ code: 1, stderr: expect.stringMatching(/^ticketflow: A receipt is the value/) })
    const noKey = await verify(receipt, '--key', at('body'))
    expect(noKey).toMatchObject({ code: 1, stderr: expect.stringMatching(/^ticketflow: The key is an Ed25519 public/) })
    const noBody = await verify(receipt, '--body', at('nothing'))
    expect(noBody).toMatchObject({ code: 1, stderr: expect.stringMatching(/^ticketflow: There is no file/) })
  })
})

describe('the key', () => {
  test('stays the same after a restart, is asked for without a key, and warns when others can read it', async () => {
    const directory = await temporaryDirectory()
    const env = { TICKETFLOW_DATA_DIR: directory }
    const one = await startTestServer(env)
    const before = await post(one.webhook, ticket('before'))
    await one.stop('SIGKILL')
    await chmod(join(directory, 'receipt.key'), 0o640)
    const two = await startTestServer({ ...env, TICKETFLOW_ADMIN_KEY: 'k'.repeat(40) })
    await proven(two, ticket('before'), before)
    await expect.poll(two.output).toContain('could be read by others')
    expect((await stat(join(directory, 'receipt.key'))).mode & 0o777).toBe(0o600)
    await discard(two)
  })

  test('that is no key stops the start with a sentence', async () => {
    const directory = await temporaryDirectory()
    await writeFile(join(directory, 'receipt.key'), 'nonsense')
    const run = await ticketflow(['serve'], { TICKETFLOW_DATA_DIR: directory, PORT: '0' })
    expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining('receipt.key holds no private key; put the') })
    await rm(directory, { recursive: true })
  })
})
