// npm run bench:nodes: how many tickets a second 1, 2 and 4 servers take on one PostgreSQL, all on this machine.
// node bench/nodes.ts [--rounds 3] [--seconds 5] [--connections 64] [--counts 1,2,4] [--dir bench/.data]
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

import { postgres } from './engines.ts'
import type { LoadJob, LoadResult } from './load.ts'
import { ask, cpuSeconds, freePort, machine, startNode, stop, untilListens } from './process.ts'
import { figure, median, table } from './stats.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '64' },
    counts: { type: 'string', default: '1,2,4' },
    dir: { type: 'string', default: 'bench/.data' },
  },
})
const [rounds, seconds, connections] = [Number(values.rounds), Number(values.seconds), Number(values.connections)]
const counts = values.counts.split(',').map(Number)

type Node = { server: ChildProcess; load: ChildProcess; port: number }
type Figures = { rate: number; p50: number; p99: number; servers: number; database: number; refused: number }

mkdirSync(values.dir, { recursive: true })
const directory = mkdtempSync(join(resolve(values.dir), 'nodes-'))
// All of it on all cores: where the limit lies is what is asked.
const engine = await postgres(directory, { isPinned: false })
const nodes: Node[] = []
const found = new Map<number, Figures[]>(counts.map((count) => [count, []]))

/** A server and its own load; unpinned, because there are more of them than cores. */
async function startPair(index: number): Promise<Node> {
  const port = await freePort()
  const env = { ...engine.env, PORT: String(port), TICKETFLOW_DATA_DIR: join(directory, `node-${index}`) }
  const quiet = { TICKETFLOW_TRIAGE: 'paused', TICKETFLOW_LOG_LEVEL: 'info', TICKETFLOW_MAX_LOOP_DELAY_MS: '0' }
  const flags = ['--max-semi-space-size=16', '--no-memory-protection-keys']
  const server = startNode({ args: [...flags, 'bin/ticketflow.js', 'serve'], role: 'any', env: { ...env, ...quiet } })
  const load = startNode({ args: ['--max-semi-space-size=16', 'bench/load.ts'], role: 'any' })
  await untilListens(server, port, 60_000)
  return { server, load, port }
}

async function measure(count: number): Promise<Figures> {
  const taking = nodes.slice(0, count)
  const cpu = () => taking.reduce((sum, { server }) => sum + cpuSeconds(server.pid), 0)
  const [before, databaseBefore] = [cpu(), engine.cpu()]
  const results = await Promise.all(
    taking.map(({ load, port }) =>
      ask<LoadResult>(load, {
        port,
        connections: Math.max(1, Math.round(connections / count)),
        seconds,
        requests: Number.MAX_SAFE_INTEGER,
      } satisfies LoadJob),
    ),
  )
  const elapsed = Math.max(...results.map((result) => result.seconds))
  return {
    rate: results.reduce((sum, { acknowledged }) => sum + acknowledged, 0) / elapsed,
    p50: median(results.map(({ p50 }) => p50)),
    p99: Math.max(...results.map(({ p99 }) => p99)),
    servers: (cpu() - before) / elapsed,
    database: (engine.cpu() - databaseBefore) / elapsed,
    refused: results.reduce((sum, { refused }) => sum + refused, 0),
  }
}

try {
  for (let index = 0; index < Math.max(...counts); index += 1) nodes.push(await startPair(index))
  for (const count of counts) await measure(count) // warm
  for (let round = 1; round <= rounds; round += 1) {
    for (const count of counts) found.get(count)?.push(await measure(count))
    process.stderr.write(`round ${round} of ${rounds}\n`)
  }
  const of = (count: number, pick: (figures: Figures) => number) => median((found.get(count) ?? []).map(pick))
  process.stdout.write(`${machine()}\n${connections} connections in all, ${seconds} s, median of ${rounds}\n\n`)
  process.stdout.write(
    table([
      ['servers', 'tickets/s', 'p50 ms', 'p99 ms', 'cores, servers', 'cores, PostgreSQL', 'refused'],
      ...counts.map((count) => [
        String(count),
        figure(of(count, ({ rate }) => rate)),
        figure(
          of(count, ({ p50 }) => p50),
          1,
        ),
        figure(
          of(count, ({ p99 }) => p99),
          1,
        ),
        figure(
          of(count, ({ servers }) => servers),
          2,
        ),
        figure(
          of(count, ({ database }) => database),
          2,
        ),
        figure(of(count, ({ refused }) => refused)),
      ]),
    ]),
  )
} finally {
  for (const { server, load } of nodes) {
    load.kill()
    await stop(server)
  }
  await engine.close()
  rmSync(directory, { recursive: true, force: true })
}
