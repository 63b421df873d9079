import { randomInt } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { storePath } from '../../src/store/sqlite-files.ts'
import { ticketflow } from '../cli.ts'
import { discard, get, post, startTestServer, temporaryDirectory, type TestServer } from '../server.ts'

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

const audit = (directory: string, ...args: string[]) =>
  ticketflow(['audit', ...args], { TICKETFLOW_DATA_DIR: directory })
const send = (webhook: string, title: string) => post(webhook, { title, description: 'd' })

/** Sends until told to stop; whatever the server cannot take any more is not its concern. */
function load(webhook: string) {
  const state = { running: true, sent: 0 }
  const sender = async () => {
    while (state.running) {
      await send(webhook, `t${state.sent}`).then(
        () => (state.sent += 1),
        () => new Promise((resolve) => setTimeout(resolve, 5)),
      )
    }
  }
  const senders = Array.from({ length: 8 }, sender)
  return {
    state,
    stop: async () => {
      state.running = false
      await Promise.all(senders)
    },
  }
}

test('before the first delivery there is nothing to keep, and nothing broken', async () => {
  expect((await get(`${server.url}/api/audit/checkpoint`)).status).toBe(404)
  expect(await audit(server.dataDir, 'checkpoint')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('No delivery'),
  })
  expect(await audit(server.dataDir, 'verify')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Whole: 0 /) })
})

test('the same checkpoint by API and command line, and it is the newest delivery’s link', async () => {
  for (let index = 0; index < 5; index += 1) await send(server.webhook, `t${index}`)
  const { status, json } = await get(`${server.url}/api/audit/checkpoint`)
  expect([status, json]).toEqual([
    200,
    { delivery_id: 5, received_at: expect.any(String), link: expect.stringMatching(/^[0-9a-f]{64}$/) },
  ])
  expect((await get(`${server.url}/api/deliveries/5`)).json).toMatchObject({
    link: json.link,
    received_at: json.received_at,
  })
  const printed = await audit(server.dataDir, 'checkpoint', '--json')
  expect(JSON.parse(printed.stdout)).toEqual(json)
  const line = await audit(server.dataDir, 'checkpoint')
  expect(line).toEqual({ code: 0, stderr: '', stdout: `ticketflow-audit 5 ${json.received_at} ${json.link}\n` })
})

test('the log is verified while the server writes, and its checkpoint afterwards', async () => {
  const busy = load(server.webhook)
  await expect.poll(() => busy.state.sent, { timeout: 10_000 }).toBeGreaterThan(200)
  const { stdout: line } = await audit(server.dataDir, 'checkpoint')
  const during = await audit(server.dataDir, 'verify', '--json')
  await busy.stop()
  expect(during).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(during.stdout)).toMatchObject({ ok: true, fault: null, first: { delivery_id: 1 } })
  const { delivery_id: id } = JSON.parse(during.stdout).last
  expect(id).toBeGreaterThan(200)
  expect(JSON.parse(during.stdout).deliveries).toBe(id)

  const file = join(folder, 'checkpoints')
  await writeFile(file, line + (await audit(server.dataDir, 'checkpoint')).stdout)
  const kept = await audit(server.dataDir, 'verify', '--checkpoint', file)
  expect(kept).toMatchObject({ code: 0, stdout: expect.stringContaining('The log contains 2 checkpoints') })
  expect(await audit(server.dataDir, 'verify', '--checkpoint', line)).toMatchObject({ code: 0 })
  const other = line.replace(/[0-9a-f]{64}/, 'a'.repeat(64))
  expect(await audit(server.dataDir, 'verify', '--checkpoint', other)).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/^Broken at delivery \d+ \(rewritten\)/),
  })
  expect(await audit(server.dataDir, 'verify', '--checkpoint', 'no-such-file')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^ticketflow: A checkpoint is what/),
  })
})

test('a changed row is named, with exit code 1, beside the running server and after it', async () => {
  const own = await startTestServer()
  try {
    for (let index = 1; index <= 9; index += 1) await send(own.webhook, `t${index}`)
    const { stdout: line } = await audit(own.dataDir, 'checkpoint')
    const db = new DatabaseSync(storePath(own.dataDir), { timeout: 5000 })
    db.exec(`delete from deliveries where id = 9`)
    expect(await audit(own.dataDir, 'verify')).toMatchObject({ code: 0 })
    expect(await audit(own.dataDir, 'verify', '--checkpoint', line)).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('Broken at delivery 9 (truncated)'),
    })
    db.exec(`update deliveries set body = replace(body, 't7', 'T7') where id = 7`)
    db.close()
    const fault = { delivery_id: 7, kind: 'changed', detail: expect.stringContaining('body of delivery 7') }
    const running = await audit(own.dataDir, 'verify', '--json')
    expect([running.code, JSON.parse(running.stdout)]).toMatchObject([1, { ok: false, deliveries: 6, fault }])
    await own.stop()
    expect(await audit(own.dataDir, 'verify')).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^Broken at delivery 7 \(changed\): .*\nWhole before that: 6 deliveries, from 1 /),
    })
  } finally {
    await discard(own)
  }
})

test(
  'after five SIGKILLs under load it is whole and contains each checkpoint that was handed out',
  { timeout: 60_000 },
  async () => {
    const directory = await temporaryDirectory()
    const checkpoints: string[] = []
    for (let round = 0; round < 5; round += 1) {
      const own = await startTestServer({ TICKETFLOW_DATA_DIR: directory })
      const busy = load(own.webhook)
      await expect.poll(() => busy.state.sent, { timeout: 10_000 }).toBeGreaterThan(20)
      checkpoints.push((await audit(directory, 'checkpoint')).stdout)
      await new Promise((resolve) => setTimeout(resolve, randomInt(20, 200)))
      await own.stop('SIGKILL')
      await busy.stop()
    }
    const file = join(folder, 'killed')
    await writeFile(file, checkpoints.join(''))
    const { code, stdout } = await audit(directory, 'verify', '--checkpoint', file, '--json')
    expect([code, JSON.parse(stdout)]).toMatchObject([
      0,
      { ok: true, checkpoints_proven: 5, first: { delivery_id: 1 } },
    ])
    expect(JSON.parse(stdout).deliveries).toBeGreaterThan(100)
    await rm(directory, { recursive: true, force: true })
  },
)

test('where there is no store it says so', async () => {
  const empty = await temporaryDirectory()
  for (const command of ['verify', 'checkpoint']) {
    expect(await audit(empty, command)).toEqual({
      code: 1,
      stdout: '',
      stderr: `ticketflow: There is no store in ${empty}; set TICKETFLOW_DATA_DIR to one\n`,
    })
  }
  await rm(empty, { recursive: true })
})
