import { chmod, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { fakeServer, listening, run, ticketflow } from '../cli.ts'
import { discard, get, post, ROOT, startTestServer, temporaryDirectory, type TestServer } from '../server.ts'

let server: TestServer
let folder: string
beforeAll(async () => {
  server = await startTestServer()
  await post(server.webhook, { title: 'First', description: 'Must stay' })
  folder = await temporaryDirectory()
})
afterAll(async () => {
  await discard(server)
  await rm(folder, { recursive: true, force: true })
})

const portOf = ({ url }: TestServer) => new URL(url).port

describe('a start that cannot be says why, a line each, and harms nothing', () => {
  const UNDER_A_FILE = join(ROOT, 'package.json', 'data')

  test.each([
    {
      name: 'the port is in use',
      env: () => ({ PORT: portOf(server), TICKETFLOW_DATA_DIR: join(folder, 'port') }),
      lines: [/^ticketflow: Port \d+ of 127\.0\.0\.1 is in use; stop what uses it or set PORT$/],
    },
    {
      name: 'the data directory cannot be made',
      env: () => ({ PORT: '0', TICKETFLOW_DATA_DIR: UNDER_A_FILE }),
      lines: [/^ticketflow: Data directory .*package\.json\/data cannot be written; set TICKETFLOW_DATA_DIR/],
    },
    {
      name: 'another server has the data directory',
      env: () => ({ PORT: '0', TICKETFLOW_DATA_DIR: server.dataDir }),
      lines: [
        /^ticketflow: Data directory .* is in use by another running server; stop it or set TICKETFLOW_DATA_DIR$/,
      ],
    },
    {
      name: 'several settings are wrong',
      env: () => ({
        PORT: 'eighty',
        TICKETFLOW_ADMIN_KEY: 'short',
        TICKETFLOW_RETENTION_DAYS: '0',
        TICKETFLOW_RETENTION: '30',
        TICKETFLOW_DATA_DIR: join(folder, 'config'),
      }),
      lines: [
        /^ticketflow: PORT must be a whole number from 0 to 65535$/,
        /^ticketflow: TICKETFLOW_RETENTION_DAYS must be a whole number from 3 to 36500$/,
        /^ticketflow: TICKETFLOW_ADMIN_KEY must have 32 to 200 characters/,
        /^ticketflow: TICKETFLOW_RETENTION is not a setting; known are /,
      ],
    },
    {
      name: 'the store is no store',
      env: async () => {
        const directory = await temporaryDirectory()
        await writeFile(join(directory, 'tickets.db'), 'not a database '.repeat(500))
        return { PORT: '0', TICKETFLOW_DATA_DIR: directory }
      },
      lines: [
        /^ticketflow: Store .*tickets\.db is not a TicketFlow store; keep a copy .*: ticketflow restore FILE --force$/,
      ],
    },
  ])('$name', async ({ env, lines }) => {
    const { code, stderr } = await ticketflow(['serve'], await env())
    const said = stderr.trimEnd().split('\n')
    expect(code).toBe(1)
    expect(said).toEqual(lines.map((line) => expect.stringMatching(line)))
    const { json } = await get(`${server.url}/api/tickets/1`)
    expect(json.title).toBe('First')
    expect((await post(server.webhook, { title: 'Next', description: 'Still taken' })).status).toBe(200)
  })
})

/** What the doctor says of such an environment. */
async function findingsOf(env: Record<string, string>) {
  const { code, stdout } = await ticketflow(['doctor', '--json'], env)
  const { ok, findings } = JSON.parse(stdout) as {
    ok: boolean
    findings: { name: string; state: string; found: string; advice?: string }[]
  }
  const of = (name: string) => findings.filter((finding) => finding.name === name)
  return { code, ok, of, failed: findings.filter(({ state }) => state === 'fail').map(({ name }) => name) }
}

describe('doctor', () => {
  test('finds a machine without a store fit, and leaves nothing behind', async () => {
    const place = await temporaryDirectory()
    const env = { PORT: '0', TICKETFLOW_DATA_DIR: join(place, 'data') }
    const { code, stdout, stderr } = await ticketflow(['doctor'], env)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^ok {4}store +not there yet; the first start makes it$/m)
    expect(stdout).toMatch(/Fit to run/)
    expect(await readdir(place)).toEqual([])
    await rm(place, { recursive: true })
  })

  test('examines the store of a running server', async () => {
    const env = { PORT: portOf(server), TICKETFLOW_DATA_DIR: server.dataDir }
    const { code, ok, of } = await findingsOf(env)
    expect({ code, ok }).toEqual({ code: 0, ok: true })
    expect(of('server')[0]?.found).toBe('one is running on this data directory')
    expect(of('port')[0]?.found).toMatch(/is the running server's$/)
    expect(of('store')[0]?.found).toMatch(/^sound: \d+ tickets?, /)
    expect((await get(`${server.url}/api/tickets/1`)).status).toBe(200)
  })

  test('warns of a data directory that others can look into', async () => {
    const directory = await temporaryDirectory()
    await chmod(directory, 0o755)
    const { code, of } = await findingsOf({ PORT: '0', TICKETFLOW_DATA_DIR: directory })
    expect(code).toBe(0)
    expect(of('data directory')[0]).toMatchObject({ state: 'warn', advice: expect.stringContaining('chmod 700') })
    await rm(directory, { recursive: true })
  })

  test('fails on a damaged store and says what to do', async () => {
    const directory = await temporaryDirectory()
    await writeFile(join(directory, 'tickets.db'), 'not a database '.repeat(500))
    const { code, failed, of } = await findingsOf({ PORT: '0', TICKETFLOW_DATA_DIR: directory })
    expect({ code, failed }).toEqual({ code: 1, failed: ['store'] })
    expect(of('store')[0]?.advice).toContain('ticketflow restore FILE --force')
    await rm(directory, { recursive: true })
  })

  test('fails on a port that another program has, on a directory that cannot be, on all wrong settings', async () => {
    const stranger = fakeServer((_request, response) => response.end('hello'))
    const taken = await listening(stranger, (port) =>
      findingsOf({ PORT: String(port), TICKETFLOW_DATA_DIR: join(ROOT, 'package.json', 'data') }),
    )
    expect({ code: taken.code, failed: taken.failed }).toEqual({ code: 1, failed: ['data directory', 'port'] })
    expect(taken.of('port')[0]?.found).toMatch(/in use by another program$/)

    const misconfigured = await findingsOf({ PORT: 'x', TICKETFLOW_BODY_LIMIT: '1' })
    expect(misconfigured.code).toBe(1)
    expect(misconfigured.of('configuration').map(({ state }) => state)).toEqual(['fail', 'fail'])
  })
})

describe('the program itself', () => {
  test('prints its version, and help with examples for each command', async () => {
    const { version } = (await import('../../package.json', { with: { type: 'json' } })).default
    expect(await ticketflow(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n` })
    for (const command of ['serve', 'check', 'doctor', 'backup', 'restore']) {
      const { code, stdout } = await ticketflow([command, '--help'])
      expect(code).toBe(0)
      expect(stdout).toMatch(/\nExamples:\n {2}\S/)
    }
  })

  test('says that there is no such command', async () => {
    const { code, stderr } = await ticketflow(['chekc'])
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^error: there is no command chekc\n/) })
  })

  test('npx finds it in a clone, offline and without a question', async () => {
    const cache = await temporaryDirectory()
    const env = { npm_config_cache: cache, npm_config_offline: 'true', npm_config_update_notifier: 'false' }
    const { code, stdout } = await run('npx', ['ticketflow', '--version'], env)
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
    await rm(cache, { recursive: true })
  })
})
