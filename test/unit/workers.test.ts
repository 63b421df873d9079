import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'

import { ConfigError, readConfig } from '../../src/config.ts'
import { ROOT, temporaryDirectory } from '../server.ts'

const WAIT = { timeout: 60_000, interval: 50 }

/** A program of two workers that say who they are, are slow where they are asked to, and die where they are told to. */
const PROGRAM = `
  import cluster from 'node:cluster'
  import { createServer } from 'node:http'
  import { supervise, whenToldToStop } from ${JSON.stringify(join(ROOT, 'src/cli/workers.ts'))}
  if (cluster.isPrimary) process.exit(await supervise({ count: 2, say: (line) => console.log('said ' + line) }))
  if (process.env.FAIL) process.exit(7)
  const server = createServer((request, response) => {
    if (request.url === '/die') process.exit(3)
    if (request.url === '/slow') console.log('slow')
    setTimeout(() => response.end(String(process.pid)), request.url === '/slow' ? 1000 : 0)
  })
  server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port))
  whenToldToStop(() => server.close(() => process.exit(0)))
`

let folder: string
let program: ChildProcess
let said = ''
beforeAll(async () => {
  folder = await temporaryDirectory()
  await writeFile(join(folder, 'program.mjs'), PROGRAM)
})
afterEach(() => {
  program.kill('SIGKILL')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

function start(env: Record<string, string> = {}) {
  said = ''
  program = spawn(process.execPath, [join(folder, 'program.mjs')], { env: { PATH: process.env['PATH'], ...env } })
  program.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  return once(program, 'exit').then(([code]) => code as number | null)
}

/** Two workers have said which port they share. */
async function shared(): Promise<string> {
  await expect.poll(() => said.match(/port \d+/g)?.length ?? 0, WAIT).toBeGreaterThanOrEqual(2)
  const ports = new Set(said.match(/port \d+/g))
  expect(ports.size).toBe(1)
  return `http://127.0.0.1:${/port (\d+)/.exec(said)?.[1]}`
}

/** A connection of its own each time, so that workers take turns. */
const ask = async (url: string) => (await fetch(url, { headers: { connection: 'close' } })).text()

test(
  'workers share a port, one that dies is replaced, and what is in flight is finished',
  { timeout: 120_000 },
  async () => {
    const ended = start()
    const url = await shared()
    const seen = new Set<string>()
    await expect.poll(async () => seen.add(await ask(url)).size, WAIT).toBe(2)
    await ask(`${url}/die`).catch(() => {})
    await expect.poll(() => said, WAIT).toContain('(exit code 3); another starts in 0.1 s')
    await expect.poll(() => said.match(/port \d+/g)?.length, WAIT).toBe(3)
    await expect.poll(async () => seen.add(await ask(url)).size, WAIT).toBe(3)
    const slow = ask(`${url}/slow`)
    await ask(url)
    program.kill('SIGTERM')
    expect(await slow).toMatch(/^\d+$/)
    expect(await ended).toBe(0)
  },
)

test('where the first cannot start nothing is tried again', { timeout: 120_000 }, async () => {
  expect(await start({ FAIL: 'yes' })).toBe(1)
  expect(said).toBe('')
})

test('the embedded store is refused to more than one, in one sentence', () => {
  const faults = (env: Record<string, string>) => {
    try {
      readConfig(env)
      return []
    } catch (error) {
      return error instanceof ConfigError ? error.faults : [String(error)]
    }
  }
  expect(faults({ TICKETFLOW_WORKERS: '2' })).toEqual([
    expect.stringMatching(/^TICKETFLOW_WORKERS needs DATABASE_URL: /),
  ])
  expect(faults({ TICKETFLOW_WORKERS: '2', DATABASE_URL: 'postgres://127.0.0.1/tickets' })).toEqual([])
  expect(faults({ TICKETFLOW_WORKERS: '1' })).toEqual([])
})
