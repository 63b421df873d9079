// npm run bench: four servers, the same ticket, the same load, in turn. README.md says what is measured and why.
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { parseArgs } from 'node:util'

import { syncTimes } from './disk.ts'
import type { LoadJob, LoadResult } from './load.ts'
import {
  ask,
  cpuSeconds,
  freePort,
  machine,
  machineBusySeconds,
  memoryMb,
  ROOT,
  startNode,
  stop,
  untilIdle,
  untilListens,
} from './process.ts'
import { figure, median, table } from './stats.ts'

const SERVERS = {
  a: { label: '(a) node:http, parse + echo', script: ['bench/peer-http.ts'], database: null },
  b: { label: '(b) Fastify, validate + echo', script: ['bench/peer-fastify.ts'], database: null },
  c: { label: '(c) node:http + SQLite FULL', script: ['bench/peer-sqlite.ts'], database: 'limit.db' },
  d: { label: '(d) this server', script: ['bin/ticketflow.js', 'serve'], database: 'tickets.db' },
} as const
type Name = keyof typeof SERVERS

const NODE_FLAGS = ['--max-semi-space-size=16', '--import', './bench/probe.ts']
const WARM_UP = { connections: 64, seconds: 4 }
const SYNCS_A_ROUND = 20
const ONE_CONNECTION_ALLOWANCE_MS = 1

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    connections: { type: 'string', default: '1,16,64,256' },
    only: { type: 'string', default: 'a,b,c,d' },
    json: { type: 'string' },
    dir: { type: 'string', default: join(ROOT, 'bench/.data') },
  },
})
const rounds = Number(options.rounds)
const seconds = Number(options.seconds)
const connectionCounts = options.connections.split(',').map(Number)
const names = (Object.keys(SERVERS) as Name[]).filter((name) => options.only.split(',').includes(name))
if (![rounds, seconds, ...connectionCounts].every((value) => value > 0) || names.length === 0) {
  process.stderr.write('--rounds, --seconds and --connections take numbers above 0, --only some of a,b,c,d\n')
  process.exit(2)
}

const out = (text: string) => process.stdout.write(text)

type Running = { name: Name; child: ChildProcess; port: number; directory: string; acknowledged: number }

type Measured = {
  server: Name
  connections: number
  round: number
  requestsPerSecond: number
  p50: number
  p99: number
  max: number
  /** Whole process until it is idle again, so with what it leaves for after the answers. */
  cpuMicroseconds: number
  /** Its work for after the last answer, in ms. */
  settleMs: number
  loopP99Ms: number
  rssMb: number
  /** Share of one core that the load took: near 1 it was the bottleneck. */
  loadBusy: number
  /** Cores that neither server nor load took: other processes, and the kernel's own threads. */
  othersBusy: number
  refused: number
  refusal: string | null
}

mkdirSync(options.dir, { recursive: true })
const directory = mkdtempSync(join(resolve(options.dir), 'run-'))
const load = startNode({ args: ['--max-semi-space-size=16', 'bench/load.ts'], role: 'load' })
const running: Running[] = []
try {
  process.exitCode = await benchmark()
} finally {
  await Promise.all([load, ...running.map(({ child }) => child)].map(stop))
  rmSync(directory, { recursive: true, force: true })
}

async function benchmark(): Promise<number> {
  say(machine())
  for (const name of names) running.push(await start(name))
  for (const server of running) {
    say(`warm-up ${server.name}`)
    await untilIdle(server.child.pid)
    await measure(server, { ...WARM_UP, round: 0 })
  }
  const syncs: number[] = []
  const measured: Measured[] = []
  for (const connections of connectionCounts) {
    for (let round = 1; round <= rounds; round += 1) {
      syncs.push(...syncTimes(directory, SYNCS_A_ROUND))
      for (const server of running) {
        const figures = await measure(server, { connections, seconds, round })
        measured.push(figures)
        say(
          `${connections} connections, round ${round}/${rounds}, ${server.name}: ${figure(figures.requestsPerSecond)} req/s, ` +
            `p50 ${figure(figures.p50, 2)} p99 ${figure(figures.p99, 2)} ms, load ${figure(figures.loadBusy * 100)} %` +
            (figures.refusal === null ? '' : `, ${figures.refused} REFUSED: ${figures.refusal}`),
        )
      }
    }
  }
  const counts = []
  for (const server of running) counts.push(await count(server))

  const fdatasync = median(syncs)
  const summary = connectionCounts.flatMap((connections) =>
    names.map((name) => summarise(measured.filter((one) => one.connections === connections && one.server === name))),
  )
  const ratios = connectionCounts.map((connections) => ({
    connections,
    toHttp: ratio(measured, connections, 'a'),
    toLimit: ratio(measured, connections, 'c'),
  }))
  const refused = measured.reduce((sum, one) => sum + one.refused, 0)
  const lost = counts.filter(({ isEqual }) => !isEqual)
  if (options.json !== undefined) {
    const date = new Date().toISOString()
    const result = { machine: machine(), date, rounds, seconds, fdatasync, summary, ratios, counts, refused, measured }
    writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`)
  }
  print({ summary, ratios, fdatasync, counts, refused })
  return refused > 0 || lost.length > 0 ? 1 : 0
}

async function start(name: Name): Promise<Running> {
  const port = await freePort()
  const own = join(directory, name)
  mkdirSync(own)
  const child = startNode({
    args: [...NODE_FLAGS, ...SERVERS[name].script],
    role: 'server',
    env: { PORT: String(port), TICKETFLOW_DATA_DIR: own, TICKETFLOW_LOG_LEVEL: 'info' },
  })
  await untilListens(child, port)
  return { name, child, port, directory: own, acknowledged: 0 }
}

async function measure(
  server: Running,
  { connections, seconds: duration, round }: { connections: number; seconds: number; round: number },
): Promise<Measured> {
  const { child, port, name } = server
  child.send('start')
  const [cpu, busy] = [cpuSeconds(child.pid), machineBusySeconds()]
  const job: LoadJob = { port, connections, seconds: duration, requests: Number.MAX_SAFE_INTEGER }
  const result = await ask<LoadResult>(load, job)
  const serverCpu = cpuSeconds(child.pid) - cpu
  const othersBusy = Math.max(0, machineBusySeconds() - busy - serverCpu - result.cpuSeconds) / result.seconds
  const { loopP99Ms } = await ask<{ loopP99Ms: number }>(child, 'stop')
  const { rss } = memoryMb(child.pid)
  // What one server still has to do must not slow the next one down, and it belongs to its own bill.
  const settleMs = await untilIdle(child.pid)
  server.acknowledged += result.acknowledged
  return {
    server: name,
    connections,
    round,
    requestsPerSecond: result.acknowledged / result.seconds,
    p50: result.p50,
    p99: result.p99,
    max: result.max,
    cpuMicroseconds: ((cpuSeconds(child.pid) - cpu) / result.acknowledged) * 1e6,
    settleMs,
    loopP99Ms,
    rssMb: rss,
    loadBusy: result.cpuSeconds / result.seconds,
    othersBusy,
    refused: result.refused,
    refusal: result.refusal,
  }
}

/** Stops the server and counts what is in its database. A peer that stores nothing has nothing to be counted. */
async function count({ name, child, directory: own, acknowledged }: Running) {
  await stop(child)
  const { database } = SERVERS[name]
  if (database === null) return { server: name, acknowledged, stored: null, isEqual: true }
  const db = new DatabaseSync(join(own, database), { readOnly: true })
  const stored = Number(db.prepare('select count(*) as stored from tickets').get()?.['stored'])
  db.close()
  return { server: name, acknowledged, stored, isEqual: stored === acknowledged }
}

function summarise(ofOne: Measured[]) {
  const [first] = ofOne
  if (first === undefined) throw new Error('nothing was measured')
  const middle = (field: keyof Measured) => median(ofOne.map((one) => Number(one[field])))
  return {
    server: first.server,
    connections: first.connections,
    requestsPerSecond: middle('requestsPerSecond'),
    p50: middle('p50'),
    p99: middle('p99'),
    cpuMicroseconds: middle('cpuMicroseconds'),
    loopP99Ms: middle('loopP99Ms'),
    rssMb: middle('rssMb'),
    loadBusy: middle('loadBusy'),
    othersBusy: middle('othersBusy'),
    settleMs: middle('settleMs'),
  }
}

/** Requests a second of this server by those of a peer: the median over rounds of what each round says. */
function ratio(measured: Measured[], connections: number, peer: Name): number {
  const of = (name: Name) => measured.filter((one) => one.connections === connections && one.server === name)
  const peers = of(peer)
  return median(of('d').map((one, round) => one.requestsPerSecond / (peers[round]?.requestsPerSecond ?? Number.NaN)))
}

function print(result: {
  summary: ReturnType<typeof summarise>[]
  ratios: { connections: number; toHttp: number; toLimit: number }[]
  fdatasync: number
  counts: Awaited<ReturnType<typeof count>>[]
  refused: number
}): void {
  const { summary, ratios, fdatasync, counts, refused } = result
  out(`\n${machine()}\nmedian of ${rounds} rounds of ${seconds} s\n\n`)
  const head = [
    'server',
    'conn',
    'req/s',
    'p50 ms',
    'p99 ms',
    'CPU µs/req',
    'loop p99 ms',
    'RSS MB',
    'load %',
    'others %',
  ]
  const rows = summary.map((one) => [
    SERVERS[one.server].label,
    String(one.connections),
    figure(one.requestsPerSecond),
    figure(one.p50, 2),
    figure(one.p99, 2),
    figure(one.cpuMicroseconds),
    figure(one.loopP99Ms, 1),
    figure(one.rssMb),
    figure(one.loadBusy * 100),
    figure(one.othersBusy * 100),
  ])
  out(table([head, ...rows]))
  if (ratios.some(({ toHttp, toLimit }) => toHttp > 0 || toLimit > 0)) {
    const lines = ratios.map((one) => [String(one.connections), figure(one.toHttp, 2), figure(one.toLimit, 2)])
    out(`\n${table([['connections', '(d)/(a)', '(d)/(c)'], ...lines])}`)
  }
  out(`\nfdatasync of 4 KB appended: ${figure(fdatasync, 2)} ms\n`)
  const alone = summary.find((one) => one.server === 'd' && one.connections === 1)
  if (alone !== undefined) {
    const bound = fdatasync + ONE_CONNECTION_ALLOWANCE_MS
    out(
      `(d) p50 with one connection: ${figure(alone.p50, 2)} ms; fdatasync + ${ONE_CONNECTION_ALLOWANCE_MS} ms = ` +
        `${figure(bound, 2)} ms: ${alone.p50 <= bound ? 'met' : 'MISSED'}\n`,
    )
  }
  for (const { server, acknowledged, stored, isEqual } of counts) {
    if (stored === null) continue
    out(`(${server}) acknowledged ${acknowledged}, stored ${stored}: ${isEqual ? 'equal' : 'NOT EQUAL'}\n`)
  }
  if (refused > 0) out(`${refused} requests were refused or not answered with their own ticket\n`)
}

function say(line: string): void {
  process.stderr.write(`bench: ${line}\n`)
}
