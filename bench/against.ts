// This version, with a key in each request, beside an earlier one without, on the same load.
// node bench/against.ts [REV] [--rounds 5] [--seconds 4] [--connections 64] [--dir bench/.data]
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

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

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    connections: { type: 'string', default: '64' },
    dir: { type: 'string', default: 'bench/.data' },
  },
})
/** The last commit of the intake, before there were keys, an audit chain and receipts. */
const [revision = '8b60ffa'] = positionals
const KEY = 'k'.repeat(43)
const FLAGS = ['--max-semi-space-size=16', '--no-allocation-site-pretenuring']

mkdirSync(values.dir, { recursive: true })
const directory = mkdtempSync(join(resolve(values.dir), 'against-'))
const checkout = join(directory, 'checkout')

function run(command: string, args: string[], cwd: string): void {
  const { status, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${stderr}`)
}

async function start(name: string, root: string, env: Record<string, string>) {
  const port = await freePort()
  const data = join(directory, name)
  mkdirSync(data)
  const child = startNode({
    args: [...FLAGS, join(root, 'bin/ticketflow.js'), 'serve'],
    role: 'server',
    env: { PORT: String(port), TICKETFLOW_DATA_DIR: data, TICKETFLOW_LOG_LEVEL: 'info', ...env },
  })
  await untilListens(child, port)
  return { name, child, port, rates: [] as number[], cpu: [] as number[], p99: [] as number[] }
}

const load = startNode({ args: ['--max-semi-space-size=16', 'bench/load.ts'], role: 'load' })
const servers: Awaited<ReturnType<typeof start>>[] = []
try {
  run('git', ['worktree', 'add', '--detach', checkout, revision], ROOT)
  run('npm', ['ci', '--omit=dev', '--no-audit', '--no-fund'], checkout)
  servers.push(await start(revision, checkout, {}))
  servers.push(await start('now, with a key', ROOT, { TICKETFLOW_ADMIN_KEY: KEY }))
  const measure = async (server: (typeof servers)[number], seconds: number) => {
    const before = cpuSeconds(server.child.pid)
    const connections = Number(values.connections)
    const key = server === servers[1] ? { key: KEY } : {}
    const job: LoadJob = { port: server.port, connections, seconds, requests: Number.MAX_SAFE_INTEGER, ...key }
    const result = await ask<LoadResult>(load, job)
    await untilIdle(server.child.pid)
    if (result.refused > 0) throw new Error(`${server.name} refused ${result.refused}: ${result.refusal}`)
    const cpu = ((cpuSeconds(server.child.pid) - before) / result.acknowledged) * 1e6
    return { rate: result.acknowledged / result.seconds, cpu, p99: result.p99 }
  }
  for (const server of servers) await measure(server, 5)
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const server of servers) {
      const { rate, cpu, p99 } = await measure(server, Number(values.seconds))
      server.rates.push(rate)
      server.cpu.push(cpu)
      server.p99.push(p99)
      process.stderr.write(`bench: ${server.name}: ${figure(rate)} req/s, ${figure(cpu, 1)} µs\n`)
    }
  }
  const rows = servers.map(({ name, child, rates, cpu, p99 }) => [
    name,
    figure(median(rates)),
    figure(median(cpu), 1),
    figure(median(p99), 1),
    figure(memoryMb(child.pid).rss),
  ])
  const [old, now] = servers
  const ratios = now?.rates.map((rate, round) => rate / (old?.rates[round] ?? Number.NaN)) ?? []
  process.stdout.write(
    `${machine()}\n${values.connections} connections, median of ${values.rounds} rounds of ${values.seconds} s\n\n`,
  )
  process.stdout.write(table([['', 'req/s', 'CPU µs/req', 'p99 ms', 'RSS MB'], ...rows]))
  process.stdout.write(`\nthroughput, now by then: ${figure(median(ratios), 2)} (at least 0.9)\n`)
} finally {
  await Promise.all([load, ...servers.map(({ child }) => child)].map(stop))
  spawnSync('git', ['worktree', 'remove', '--force', checkout], { cwd: ROOT })
  rmSync(directory, { recursive: true, force: true })
}
