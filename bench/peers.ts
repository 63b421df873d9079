// npm run bench:peers: this server beside what else one might take for the same work, each with the durability it has.
// node bench/peers.ts [--rounds 3] [--seconds 3] [--connections 64] [--only d,c,e,f,g,h,i] [--dir bench/.data] [--json FILE]
import type { ChildProcess } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { parseArgs } from 'node:util'

import { type Engine, nodeRed, postgres, redis } from './engines.ts'
import type { LoadJob, LoadResult } from './load.ts'
import {
  ask,
  cpuSeconds,
  freePort,
  machine,
  memoryMb,
  ROOT,
  startNode,
  stop,
  untilIdle,
  untilListens,
} from './process.ts'
import { figure, median, table } from './stats.ts'

/** What is started for a peer; null, with a reason, where this machine cannot. */
type Setup = { script: string[]; env?: Record<string, string>; engine?: Engine; count?: () => Promise<number> }
type Peer = { label: string; durable: string; set: (directory: string) => Promise<Setup | string> }

const rowsOf = (path: string) => async () => {
  const db = new DatabaseSync(path, { readOnly: true })
  const count = Number(db.prepare('select count(*) as count from tickets').get()?.['count'])
  db.close()
  return count
}

const onPostgres = (script: string, commit?: string) => async (directory: string) => {
  const engine = await postgres(directory)
  return {
    script: [script],
    env: { ...engine.env, ...(commit && { PEER_COMMIT: commit }) },
    engine,
    count: engine.count,
  }
}

const EACH = 'each answer after its own commit, synced'
const PEERS: Record<string, Peer> = {
  d: {
    label: '(d) this server',
    durable: 'each answer after a commit, synced; one for all that waits',
    set: async (directory) => ({
      script: ['bin/ticketflow.js', 'serve'],
      count: rowsOf(join(directory, 'tickets.db')),
    }),
  },
  c: {
    label: '(c) node:http + SQLite, group',
    durable: 'as (d)',
    set: async (directory) => ({ script: ['bench/peer-sqlite.ts'], count: rowsOf(join(directory, 'limit.db')) }),
  },
  e: { label: '(e) Fastify + drizzle + PostgreSQL', durable: EACH, set: onPostgres('bench/peer-drizzle.ts') },
  f: {
    label: '(f) Node-RED, http in to file',
    durable: 'none: appended to a file that is not synced',
    set: async (directory) =>
      nodeRed(directory) ?? 'Node-RED could not be installed: the registry cannot be reached, or npm is missing',
  },
  g: {
    label: '(g) node:http + Redis, fsync always',
    durable: 'each answer after a sync of the log; one for all that Redis read in a turn',
    set: async (directory) => {
      const engine = await redis(directory)
      if (engine === null) return 'there is no redis-server on this machine'
      return { script: ['bench/peer-redis.ts'], env: engine.env, engine, count: engine.count }
    },
  },
  h: {
    label: '(h) node:http + PostgreSQL, group',
    durable: 'as (d)',
    set: onPostgres('bench/peer-postgres.ts', 'group'),
  },
  i: { label: '(i) node:http + PostgreSQL, each', durable: EACH, set: onPostgres('bench/peer-postgres.ts', 'each') },
}

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '64' },
    only: { type: 'string', default: Object.keys(PEERS).join(',') },
    dir: { type: 'string', default: join(ROOT, 'bench/.data') },
    json: { type: 'string' },
  },
})
const [rounds, seconds, connections] = [options.rounds, options.seconds, options.connections].map(Number)
const names = options.only.split(',').filter((name) => name in PEERS)

type Running = Setup & { name: string; child: ChildProcess; port: number; acknowledged: number; refused: number }
type Measured = {
  name: string
  perSecond: number
  p50: number
  p99: number
  cpu: number
  engineCpu: number
  rss: number
}

const say = (line: string) => process.stderr.write(`bench: ${line}\n`)
const out = (text: string) => process.stdout.write(text)

mkdirSync(options.dir, { recursive: true })
const directory = mkdtempSync(join(resolve(options.dir), 'peers-'))
// PostgreSQL is a user of its own where this is root.
chmodSync(directory, 0o755)
const load = startNode({ args: ['--max-semi-space-size=16', 'bench/load.ts'], role: 'load' })
const running: Running[] = []
try {
  process.exitCode = await benchmark()
} finally {
  await Promise.all([load, ...running.map(({ child }) => child)].map(stop))
  for (const { engine } of running) await engine?.close()
  rmSync(directory, { recursive: true, force: true })
}

async function benchmark(): Promise<number> {
  const skipped: string[] = []
  for (const name of names) {
    const started = await start(name)
    if (typeof started === 'string') skipped.push(`${PEERS[name]?.label} was left out: ${started}`)
    else running.push(started)
  }
  const measured: Measured[] = []
  for (const server of running) await measure(server, 2)
  for (let round = 1; round <= (rounds ?? 0); round += 1) {
    for (const server of running) {
      const figures = await measure(server, seconds ?? 3)
      measured.push(figures)
      say(
        `round ${round}/${rounds}, (${server.name}): ${figure(figures.perSecond)} req/s, p99 ${figure(figures.p99, 2)} ms`,
      )
    }
  }
  const lines = running.map(({ name }) => lineOf(name, measured))
  out(`\n${machine()}\n${connections} connections, median of ${rounds} rounds of ${seconds} s\n\n`)
  out(table([['', 'req/s', 'p50 ms', 'p99 ms', 'CPU µs/req', 'of that its engine', 'RSS MB'], ...lines]))
  out('\n')
  for (const { name } of running) out(`${PEERS[name]?.label}: ${PEERS[name]?.durable}\n`)
  for (const line of skipped) out(`${line}\n`)
  if (options.json !== undefined) {
    const result = {
      machine: machine(),
      date: new Date().toISOString(),
      rounds,
      seconds,
      connections,
      measured,
      skipped,
    }
    writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`)
  }
  return (await judge()) ? 0 : 1
}

async function start(name: string): Promise<Running | string> {
  say(`setting up ${PEERS[name]?.label}`)
  const own = join(directory, name)
  mkdirSync(own)
  const setup = (await PEERS[name]?.set(own)) ?? 'there is none'
  if (typeof setup === 'string') return setup
  const port = await freePort()
  const child = startNode({
    args: ['--max-semi-space-size=16', '--import', './bench/probe.ts', ...setup.script],
    role: 'server',
    env: { PORT: String(port), TICKETFLOW_DATA_DIR: own, TICKETFLOW_LOG_LEVEL: 'info', ...setup.env },
  })
  const one = { ...setup, name, child, port, acknowledged: 0, refused: 0 }
  try {
    await untilListens(child, port, 60_000)
    return one
  } catch (error) {
    await setup.engine?.close()
    return error instanceof Error ? error.message : 'it did not start'
  }
}

async function measure(server: Running, duration: number): Promise<Measured> {
  const { child, port, engine } = server
  await untilIdle(child.pid)
  const [cpu, engineCpu] = [cpuSeconds(child.pid), engine?.cpu() ?? 0]
  const job: LoadJob = { port, connections: connections ?? 64, seconds: duration, requests: Number.MAX_SAFE_INTEGER }
  const result = await ask<LoadResult>(load, job)
  await untilIdle(child.pid)
  server.acknowledged += result.acknowledged
  server.refused += result.refused
  if (result.refusal !== null) say(`(${server.name}) refused: ${result.refusal.slice(0, 200)}`)
  const micros = (secondsOfCpu: number) => (secondsOfCpu / result.acknowledged) * 1e6
  const ofEngine = (engine?.cpu() ?? 0) - engineCpu
  return {
    name: server.name,
    perSecond: result.acknowledged / result.seconds,
    p50: result.p50,
    p99: result.p99,
    cpu: micros(cpuSeconds(child.pid) - cpu + ofEngine),
    engineCpu: micros(ofEngine),
    rss: memoryMb(child.pid).rss,
  }
}

function lineOf(name: string, measured: readonly Measured[]): string[] {
  const own = measured.filter((one) => one.name === name)
  const middle = (field: Exclude<keyof Measured, 'name'>, digits = 0) =>
    figure(median(own.map((one) => one[field])), digits)
  const label = PEERS[name]?.label ?? name
  return [
    label,
    middle('perSecond'),
    middle('p50', 2),
    middle('p99', 2),
    middle('cpu'),
    middle('engineCpu'),
    middle('rss'),
  ]
}

/** Whether all that was acknowledged is stored; asked while the engines still run, after the servers have stopped. */
async function judge(): Promise<boolean> {
  let isWell = true
  for (const { name, child, count, acknowledged, refused } of running) {
    await stop(child)
    const stored = (await count?.()) ?? acknowledged
    const isEqual = stored === acknowledged && refused === 0
    isWell &&= isEqual
    out(`(${name}) acknowledged ${acknowledged}, stored ${stored}, refused ${refused}${isEqual ? '' : ': NOT EQUAL'}\n`)
  }
  return isWell
}
