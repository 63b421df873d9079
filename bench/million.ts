// npm run bench:million: the real server on a store of a million tickets. README.md says what is measured and why.
// node bench/million.ts [--engine sqlite|postgres] [--count 1000000] [--keep DIR] [--dir bench/.data] [--json FILE]
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { parseArgs } from 'node:util'

import pg from 'pg'

import { AppError } from '../src/core/errors.ts'
import { openPostgresStore } from '../src/store/postgres.ts'
import { openSqliteStore } from '../src/store/sqlite.ts'
import type { Store } from '../src/store/store.ts'
import { submissions } from './corpus.ts'
import { postgres } from './engines.ts'
import type { LoadJob, LoadResult } from './load.ts'
import { ask, freePort, machine, memoryMb, ROOT, startNode, stop, untilIdle } from './process.ts'
import { type Question, questions } from './questions.ts'
import { figure, median, spread, table } from './stats.ts'

const STARTS = 5
const ASKED = 200
const WEBHOOKS = 20_000
/** Tickets that are on their way into the store while it is filled. */
const IN_FLIGHT = 4_000
const TARGET = { startMs: 1000, rssMb: 250 }

const { values: options } = parseArgs({
  options: {
    engine: { type: 'string', default: 'sqlite' },
    count: { type: 'string', default: '1000000' },
    keep: { type: 'string' },
    dir: { type: 'string', default: join(ROOT, 'bench/.data') },
    json: { type: 'string' },
  },
})
mkdirSync(options.keep ?? options.dir, { recursive: true })
const directory = resolve(options.keep ?? mkdtempSync(join(options.dir, 'million-')))
const out = (text: string) => process.stdout.write(text)
const note = (text: string) => process.stderr.write(text)

type Result = Awaited<ReturnType<typeof measure>>
type Loaded = { tickets: number; seconds: number; indexedSeconds: number }
type Size = { name: string; mb: number }

/** A store to be filled and measured, on one engine. */
type Subject = {
  env: Record<string, string>
  isFilled: boolean
  open: () => Promise<Store>
  newestTicket: () => Promise<number>
  sizes: () => Promise<Size[]>
  close: () => Promise<void>
}

const QUEUE = { maxQueued: 10_000, maxQueuedBytes: 67_108_864 }

/** How many tickets were loaded when that was last said. */
let noted = 0
const subject = options.engine === 'postgres' ? await postgresSubject() : sqliteSubject()
try {
  note(`${machine()}\n`)
  const loaded = subject.isFilled ? null : await fill(Number(options.count))
  const sizes = await subject.sizes()
  const result = { ...(await measure(await subject.newestTicket())), engine: options.engine, loaded, sizes }
  if (options.json !== undefined) {
    const whole = { machine: machine(), date: new Date().toISOString(), ...result }
    writeFileSync(options.json, `${JSON.stringify(whole, null, 2)}\n`)
  }
  print(result)
} finally {
  await subject.close()
  if (options.keep === undefined) rmSync(directory, { recursive: true, force: true })
}

function sqliteSubject(): Subject {
  const path = join(directory, 'tickets.db')
  return {
    env: { TICKETFLOW_DATA_DIR: directory },
    isFilled: existsSync(path),
    open: () =>
      openSqliteStore({
        directory,
        ...QUEUE,
        onDeath: (error) => {
          throw error
        },
      }),
    newestTicket: async () => {
      const db = new DatabaseSync(path, { readOnly: true })
      const tickets = Number(db.prepare('select max(id) as tickets from tickets').get()?.['tickets'])
      db.close()
      return tickets
    },
    sizes: async () => sizesOf(readdirSync(directory).map((name) => [name, statSync(join(directory, name)).size])),
    close: async () => {},
  }
}

/** A database that is made for the run and goes with it. */
async function postgresSubject(): Promise<Subject> {
  const engine = await postgres(directory)
  const url = engine.env['DATABASE_URL'] ?? ''
  const rowsOf = async (sql: string): Promise<Record<string, unknown>[]> => {
    const client = new pg.Client(url)
    await client.connect()
    try {
      return (await client.query(sql)).rows
    } finally {
      await client.end()
    }
  }
  return {
    env: { ...engine.env, TICKETFLOW_DATA_DIR: join(directory, 'node') },
    isFilled: false,
    open: () => openPostgresStore({ url, node: 'loader', readers: 2, ...QUEUE }),
    newestTicket: async () => Number((await rowsOf('select max(id) as tickets from tickets'))[0]?.['tickets']),
    sizes: async () =>
      sizesOf(
        (
          await rowsOf(`select relname as name, pg_total_relation_size(oid) as bytes from pg_class
                     where relkind = 'r' and relnamespace in ('public'::regnamespace, 'graphile_worker'::regnamespace)`)
        ).map(({ name, bytes }) => [String(name), Number(bytes)]),
      ),
    close: engine.close,
  }
}

function sizesOf(bytes: [name: string, bytes: number][]): Size[] {
  return bytes.map(([name, size]) => ({ name, mb: size / 1e6 })).filter(({ mb }) => mb > 1)
}

/** Loads the store through its own door, at the pace at which it commits. */
async function fill(count: number): Promise<Loaded> {
  const store = await subject.open()
  const start = performance.now()
  const since = () => (performance.now() - start) / 1000
  let inFlight: Promise<unknown>[] = []
  let [done, stored] = [0, 0]
  for (const submission of submissions(count)) {
    inFlight.push(store.submit(submission))
    done += submission.kind === 'batch' ? submission.items.length : 1
    if (done - stored < IN_FLIGHT) continue
    await Promise.all(inFlight)
    inFlight = []
    stored = done
    progress(done, count, since())
  }
  await Promise.all(inFlight)
  const seconds = since()
  progress(count, count, seconds)
  note('\nwaiting for the search index\n')
  await untilIndexed(store)
  const indexedSeconds = since()
  await store.close()
  return { tickets: count, seconds, indexedSeconds }
}

/** A search is refused while the index is far behind, and makes up the rest itself when it is near. */
async function untilIndexed(store: Store): Promise<void> {
  for (;;) {
    try {
      await store.tickets({ q: 'anything', limit: 1 })
      return
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      await new Promise((wake) => setTimeout(wake, 500))
    }
  }
}

function progress(done: number, count: number, seconds: number): void {
  const bar = '█'.repeat(Math.floor((done / count) * 30)).padEnd(30, '░')
  const pace = `${done} of ${count} tickets, ${figure(done / seconds)}/s, ${figure(seconds)} s`
  if (process.stderr.isTTY) note(`\r${bar} ${pace} `)
  else if (done === count || done - noted >= 100_000) note(`${bar} ${pace}\n`)
  else return
  noted = done
}

async function measure(tickets: number) {
  const starts: { ticketsMs: number; readyMs: number }[] = []
  for (let times = 1; times < STARTS; times += 1) {
    const { server, ...start } = await startServer()
    starts.push(start)
    await stop(server)
  }
  const { server, port, ...lastStart } = await startServer()
  try {
    starts.push(lastStart)
    await untilIdle(server.pid)
    const afterStart = memoryMb(server.pid)
    const answers = []
    for (const question of questions(tickets, ASKED)) {
      note(`${question.name}\n`)
      answers.push(await askAll(port, question))
    }
    const afterQueries = memoryMb(server.pid)
    note(`${WEBHOOKS} webhooks\n`)
    const webhooks = await sendWebhooks(port)
    await untilIdle(server.pid)
    const afterWebhooks = memoryMb(server.pid)
    return {
      tickets,
      startMs: { tickets: median(starts.map((one) => one.ticketsMs)), ready: median(starts.map((one) => one.readyMs)) },
      starts,
      answers,
      webhooks,
      memory: { afterStart, afterQueries, afterWebhooks },
    }
  } finally {
    await stop(server)
  }
}

/** From the spawn to the first page of tickets, and to ready (which makes a commit). */
async function startServer(): Promise<{ server: ChildProcess; port: number; ticketsMs: number; readyMs: number }> {
  const port = await freePort()
  const start = performance.now()
  const server = startNode({
    args: ['--max-semi-space-size=16', 'bin/ticketflow.js', 'serve'],
    role: 'server',
    env: { PORT: String(port), ...subject.env },
  })
  const first = async (path: string) => {
    for (;;) {
      const answered = await call(port, { method: 'GET', path }).catch(() => null)
      if (answered?.status === 200) return performance.now() - start
      if (server.exitCode !== null) throw new Error(`the server ended with ${server.exitCode}`)
      await new Promise((wake) => setTimeout(wake, 4))
    }
  }
  const [ticketsMs, readyMs] = await Promise.all([first('/api/tickets?limit=1'), first('/readyz')])
  return { server, port, ticketsMs, readyMs }
}

/** One request after the other on one connection that stays open. */
async function askAll(port: number, { name, targetMs, requests, answers }: Question) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const times: number[] = []
  let found = 0
  for (const one of requests) {
    const { status, text, ms } = await call(port, one, agent)
    if (status !== answers) throw new Error(`${one.method} ${one.path}: ${status} ${text}`)
    found += JSON.parse(text).tickets?.length ?? 1
    times.push(ms)
  }
  agent.destroy()
  return { name, targetMs, ...spread(times), found: found / requests.length }
}

function call(
  port: number,
  { method, path, body }: Question['requests'][number],
  agent?: Agent,
): Promise<{ status: number; text: string; ms: number }> {
  const start = performance.now()
  return new Promise((done, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': body.length }
    const sent = request({ host: '127.0.0.1', port, method, path, headers, ...(agent && { agent }) }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const ms = performance.now() - start
        done({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8'), ms })
      })
      response.on('error', reject)
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

async function sendWebhooks(port: number): Promise<LoadResult> {
  const load = startNode({ args: ['--max-semi-space-size=16', 'bench/load.ts'], role: 'load' })
  try {
    const job: LoadJob = { port, connections: 64, seconds: 120, requests: WEBHOOKS }
    const result = await ask<LoadResult>(load, job)
    if (result.acknowledged !== WEBHOOKS) throw new Error(`${result.refused} webhooks were refused: ${result.refusal}`)
    return result
  } finally {
    await stop(load)
  }
}

/** A measured value beside the most that it should be. */
function compared(value: number, target: number, unit: string): string[] {
  return [figure(value), `≤ ${target} ${unit}`, verdict(value, target)]
}

function verdict(value: number, target: number): string {
  return value <= target ? 'met' : 'MISSED'
}

function print(result: Result & { engine: string; loaded: Loaded | null; sizes: Size[] }): void {
  const { engine, loaded, sizes, tickets, startMs, answers, webhooks, memory } = result
  out(`\n${machine()}\n${engine}, ${tickets} tickets\n`)
  if (loaded !== null) {
    const pace = figure(loaded.tickets / loaded.seconds)
    out(`loaded in ${figure(loaded.seconds)} s (${pace}/s), searchable after ${figure(loaded.indexedSeconds)} s\n`)
  }
  out(`sizes: ${sizes.map(({ name, mb }) => `${name} ${figure(mb)} MB`).join(', ')}\n\n`)
  out(
    table([
      ['', 'p50 ms', 'p99 ms', 'found', 'target p50', ''],
      ...answers.map(({ name, p50, p99, found, targetMs }) => [
        name,
        figure(p50, 2),
        figure(p99, 2),
        figure(found, 1),
        targetMs === null ? '' : `≤ ${targetMs}`,
        targetMs === null ? '' : verdict(p50, targetMs),
      ]),
    ]),
  )
  const { afterStart, afterQueries, afterWebhooks } = memory
  out(
    `\n${table([
      ['', 'median', 'target', ''],
      ['start to first page of tickets', ...compared(startMs.tickets, TARGET.startMs, 'ms')],
      ['start to ready', ...compared(startMs.ready, TARGET.startMs, 'ms')],
      ['RSS after start', ...compared(afterStart.rss, TARGET.rssMb, 'MB')],
      ['RSS after the queries', ...compared(afterQueries.rss, TARGET.rssMb, 'MB')],
      [`RSS after ${WEBHOOKS} webhooks`, ...compared(afterWebhooks.rss, TARGET.rssMb, 'MB')],
      ['most RSS ever', figure(afterWebhooks.peak), 'MB', ''],
    ])}`,
  )
  const pace = figure(webhooks.acknowledged / webhooks.seconds)
  out(`\nwebhooks at 64 connections: ${pace} req/s, p50 ${figure(webhooks.p50, 2)} p99 ${figure(webhooks.p99, 2)} ms\n`)
}
