import { execFileSync } from 'node:child_process'
import { chmod, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { indexPath, storePath } from '../../src/store/sqlite-files.ts'
import { run, ticketflow } from '../cli.ts'
import { discard, get, post, ROOT, startTestServer, temporaryDirectory, type TestServer } from '../server.ts'

let folder: string
let server: TestServer | undefined
beforeEach(async () => {
  folder = await temporaryDirectory()
})
afterEach(async () => {
  await discard(server)
  server = undefined
  await rm(folder, { recursive: true, force: true })
})

const dataIn = (directory: string) => ({ TICKETFLOW_DATA_DIR: directory, PORT: '0' })
const ticket = (number: number) => ({ id: `e-${number}`, title: `Ticket ${number}`, description: 'x'.repeat(20_000) })

async function expectSound(directory: string, acknowledged: Map<number, number>): Promise<void> {
  server = await startTestServer({ ...dataIn(directory), TICKETFLOW_MIN_FREE_MB: '0' })
  for (const [number, id] of acknowledged) {
    expect((await get(`${server.url}/api/tickets/${id}`)).json).toMatchObject({ title: `Ticket ${number}` })
  }
  expect((await get(`${server.url}/api/tickets?limit=1`)).json.tickets[0].id).toBe(Math.max(...acknowledged.values()))
  expect(await ticketflow(['audit', 'verify'], dataIn(directory))).toMatchObject({ code: 0 })
}

/** A file system of its own in memory; null where this user may not mount one. */
function mountSmall(at: string, size: string): ((size: string) => void) | null {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', at], { stdio: 'pipe' })
  } catch (error) {
    process.stderr.write(`SKIPPED, no file system can be mounted here: ${String(error)}\n`)
    return null
  }
  return (to) => execFileSync('mount', ['-o', `remount,size=${to}`, at])
}

describe('a small file system', () => {
  let disk: string
  let resize: ((size: string) => void) | null
  beforeEach(async () => {
    disk = join(folder, 'disk')
    await mkdir(disk)
    resize = mountSmall(disk, '6m')
  })
  afterEach(async () => {
    await server?.stop('SIGKILL')
    server = undefined
    if (resize !== null) execFileSync('umount', [disk])
  })

  test('that is full: 503, nothing acknowledged that is not stored, reading works; with room it goes on', async (context) => {
    if (resize === null) return context.skip('no file system can be mounted here')
    const data = join(disk, 'data')
    server = await startTestServer({ ...dataIn(data), TICKETFLOW_MIN_FREE_MB: '0' })
    const { url, webhook } = server
    const acknowledged = new Map<number, number>()
    const statuses: number[] = []
    let number = 0
    const send = async () => {
      number += 1
      const mine = number
      const { status, json, headers } = await post(webhook, ticket(mine))
      statuses.push(status)
      if (status === 200) acknowledged.set(mine, json.id)
      else expect([status, headers.get('retry-after')]).toEqual([503, expect.stringMatching(/^\d+$/)])
    }
    for (let round = 0; round < 500 && statuses.filter((status) => status === 503).length < 8; round += 1) {
      await Promise.all(Array.from({ length: 4 }, send))
    }
    expect(statuses.at(-1)).toBe(503)
    expect(acknowledged.size).toBeGreaterThan(20)
    expect(await get(`${webhook}/health`)).toMatchObject({ status: 503, json: { status: 'unhealthy' } })
    for (const id of [...acknowledged.values()].slice(-20)) {
      expect((await fetch(`${url}/api/tickets/${id}`)).status).toBe(200)
    }
    expect((await fetch(`${url}/api/tickets?limit=5`)).status).toBe(200)

    resize('64m')
    await expect.poll(async () => (await fetch(`${webhook}/health`)).status, { timeout: 10_000 }).toBe(200)
    for (let more = 0; more < 10; more += 1) await send()
    expect(statuses.slice(-10)).toEqual(Array(10).fill(200))
    await expect.poll(async () => (await fetch(`${url}/api/tickets?q=ticket`)).status, { timeout: 10_000 }).toBe(200)
    await server.stop('SIGKILL')
    await expectSound(data, acknowledged)
  })

  test('that is nearly full: shed before a commit fails, and taken again when there is room', async (context) => {
    if (resize === null) return context.skip('no file system can be mounted here')
    server = await startTestServer({ ...dataIn(join(disk, 'data')), TICKETFLOW_MIN_FREE_MB: '3' })
    const { webhook, url } = server
    expect((await post(webhook, ticket(1))).status).toBe(200)
    await writeFile(join(disk, 'ballast'), Buffer.alloc(3_500_000))
    const status = async () => (await post(webhook, ticket(2))).status
    await expect.poll(status, { timeout: 10_000 }).toBe(503)
    expect((await post(webhook, ticket(2))).json.detail).toMatch(/^The disk is nearly full/)
    expect((await fetch(`${webhook}/health`)).status).toBe(503)
    expect((await fetch(`${url}/api/tickets/1`)).status).toBe(200)
    await rm(join(disk, 'ballast'))
    await expect.poll(status, { timeout: 10_000 }).toBe(200)
    expect((await fetch(`${webhook}/health`)).status).toBe(200)
  })

  test('that is read-only: a start says so in one line', async (context) => {
    if (resize === null) return context.skip('no file system can be mounted here')
    const data = join(disk, 'data')
    server = await startTestServer({ ...dataIn(data), TICKETFLOW_MIN_FREE_MB: '0' })
    await post(server.webhook, ticket(1))
    await server.stop()
    server = undefined
    execFileSync('mount', ['-o', 'remount,ro', disk])
    const { code, stderr } = await ticketflow(['serve'], dataIn(data))
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `ticketflow: Data directory ${data} cannot be written; set TICKETFLOW_DATA_DIR to one that can\n`,
    })
    // What only reads works beside it.
    execFileSync('mount', ['-o', 'remount,rw', disk])
    expect(await ticketflow(['audit', 'verify'], dataIn(data))).toMatchObject({ code: 0 })
  })
})

test('a data directory that is removed: nothing more is acknowledged, health says so; put back, it goes on', async () => {
  const data = join(folder, 'data')
  server = await startTestServer(dataIn(data))
  const { webhook } = server
  expect((await post(webhook, ticket(1))).status).toBe(200)
  await rename(data, join(folder, 'elsewhere'))
  const refused = await post(webhook, ticket(2))
  expect([refused.status, refused.json.detail]).toEqual([
    503,
    expect.stringContaining('no longer in the data directory'),
  ])
  expect((await fetch(`${webhook}/health`)).status).toBe(503)
  await rename(join(folder, 'elsewhere'), data)
  expect((await post(webhook, ticket(2))).status).toBe(200)
  expect((await fetch(`${webhook}/health`)).status).toBe(200)

  await rm(data, { recursive: true })
  expect((await post(webhook, ticket(3))).status).toBe(503)
  expect((await fetch(`${webhook}/health`)).status).toBe(503)
  expect((await fetch(`${server.url}/readyz`)).status).toBe(503)
  expect(await server.stop()).toBe(0)
})

test('a log that is removed under the server: nothing more is acknowledged', async () => {
  server = await startTestServer(dataIn(join(folder, 'data')))
  expect((await post(server.webhook, ticket(1))).status).toBe(200)
  await rm(`${storePath(server.dataDir)}-wal`)
  expect((await post(server.webhook, ticket(2))).status).toBe(503)
})

describe('permissions', () => {
  const modes = async (directory: string) =>
    Object.fromEntries(
      await Promise.all(
        (await readdir(directory)).map(async (name) => [
          name,
          ((await stat(join(directory, name))).mode & 0o777).toString(8),
        ]),
      ),
    )
  const openly = (command: string, directory: string) =>
    run('bash', ['-c', `umask 000; exec "$0" ${command}`, process.execPath], dataIn(directory))

  test('all that the server and the command line write is their owner’s alone, whatever the umask', async () => {
    const data = join(folder, 'data')
    server = await startTestServer(dataIn(data), { umask: '000' })
    await post(server.webhook, ticket(1))
    await get(`${server.url}/api/tickets?q=ticket`)
    const whileRunning = await modes(data)
    expect(Object.keys(whileRunning)).toEqual(
      expect.arrayContaining(['tickets.db', 'tickets.db-wal', 'tickets.db-shm', 'search.db', 'server.lock']),
    )
    expect(new Set(Object.values(whileRunning))).toEqual(new Set(['600']))
    expect(((await stat(data)).mode & 0o777).toString(8)).toBe('700')
    const places = join(folder, 'backups')
    await mkdir(places)
    expect(await openly(`bin/ticketflow.js backup ${places}/b.db`, data)).toMatchObject({ code: 0 })
    expect(await modes(places)).toEqual({ 'b.db': '600' })
    await server.stop()

    await chmod(join(places, 'b.db'), 0o666)
    const restored = join(folder, 'restored')
    expect(await openly(`bin/ticketflow.js restore ${places}/b.db`, restored)).toMatchObject({ code: 0 })
    expect(await openly(`bin/ticketflow.js keys create x`, restored)).toMatchObject({ code: 0 })
    expect(await openly(`bin/ticketflow.js restore ${places}/b.db --force`, restored)).toMatchObject({ code: 0 })
    expect(new Set(Object.values(await modes(restored)))).toEqual(new Set(['600']))
    expect(((await stat(restored)).mode & 0o777).toString(8)).toBe('700')
  })

  test('files of an earlier version are closed to others; a directory of somebody’s choice is told of', async () => {
    const data = join(folder, 'data')
    server = await startTestServer(dataIn(data))
    await post(server.webhook, ticket(1))
    await server.stop('SIGKILL')
    for (const name of await readdir(data)) await chmod(join(data, name), 0o644)
    await chmod(data, 0o755)
    server = await startTestServer(dataIn(data))
    expect(await modes(data)).toMatchObject({ 'tickets.db': '600', 'tickets.db-wal': '600', 'search.db': '600' })
    expect(new Set(Object.values(await modes(data)))).toEqual(new Set(['600']))
    expect(((await stat(data)).mode & 0o777).toString(8)).toBe('755')
    await server.stop()
    expect(server.output()).toContain('other users may look into the data directory')
    await stat(indexPath(data))
  })
})

test('who may not read the store is told so in one line', async (context) => {
  if (process.getuid?.() !== 0) return context.skip('only root can start a program as another user')
  const data = join(folder, 'data')
  server = await startTestServer(dataIn(data))
  await post(server.webhook, ticket(1))
  await server.stop()
  await chmod(folder, 0o755)
  await chmod(data, 0o777)
  const asNobody = (command: string) =>
    run(
      'setpriv',
      ['--reuid=65534', '--clear-groups', process.execPath, `${ROOT}/bin/ticketflow.js`, command],
      dataIn(data),
    )
  await chmod(join(data, 'server.lock'), 0o666)
  const { code, stderr } = await asNobody('serve')
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^ticketflow: .*tickets\.db.*\n$/) })
})
