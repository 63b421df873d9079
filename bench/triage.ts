// npm run bench:triage: what senders wait while triage works, beside the same server without it; in turn, on one core.
// node bench/triage.ts [--rounds 7] [--seconds 4] [--connections 8] [--embedder bundled|none] [--dir bench/.data]
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import type { LoadJob, LoadResult } from './load.ts'
import { ask, freePort, machine, memoryMb, startNode, stop, untilListens } from './process.ts'
import { figure, median, table } from './stats.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '4' },
    connections: { type: 'string', default: '8' },
    embedder: { type: 'string', default: 'bundled' },
    dir: { type: 'string', default: 'bench/.data' },
  },
})
const [rounds, seconds, connections] = [Number(values.rounds), Number(values.seconds), Number(values.connections)]
const AIM = 1.5

mkdirSync(values.dir, { recursive: true })
const directory = mkdtempSync(join(resolve(values.dir), 'triage-'))
const load = startNode({ args: ['--max-semi-space-size=16', 'bench/load.ts'], role: 'load' })

async function start(triage: 'on' | 'paused') {
  const port = await freePort()
  const env = {
    PORT: String(port),
    TICKETFLOW_DATA_DIR: join(directory, triage),
    TICKETFLOW_LOG_LEVEL: 'info',
    TICKETFLOW_TRIAGE: triage,
    TICKETFLOW_EMBEDDER: values.embedder,
    TICKETFLOW_MAX_LOOP_DELAY_MS: '0',
  }
  const args = ['--max-semi-space-size=16', '--no-memory-protection-keys', 'bin/ticketflow.js', 'serve']
  const server = startNode({ args, role: 'server', env })
  await untilListens(server, port, 60_000)
  return { server, port, results: [] as LoadResult[] }
}

const decided = async (port: number): Promise<number> => {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  return Number(/^ticketflow_job_runs_total\{kind="triage",outcome="done"\} (\d+)/m.exec(text)?.[1] ?? 0)
}

async function measure(one: Running, other: Running): Promise<LoadResult> {
  other.server.kill('SIGSTOP')
  one.server.kill('SIGCONT')
  await sleep(300)
  return ask<LoadResult>(load, {
    connections,
    seconds,
    requests: Number.MAX_SAFE_INTEGER,
    port: one.port,
  } satisfies LoadJob)
}

type Running = Awaited<ReturnType<typeof start>>

const on = await start('on')
const paused = await start('paused')
try {
  const speeds: number[] = []
  for (let round = 0; round <= rounds; round += 1) {
    // Whoever is not measured stands still: it has work left, and the core is one.
    const without = await measure(paused, on)
    on.server.kill('SIGCONT')
    const before = await decided(on.port)
    const beside = await measure(on, paused)
    if (round === 0) continue // warm
    speeds.push(((await decided(on.port)) - before) / beside.seconds)
    paused.results.push(without)
    on.results.push(beside)
    process.stderr.write(`round ${round} of ${rounds}\n`)
  }
  const row = (label: string, { results, server }: typeof on) => [
    label,
    figure(median(results.map(({ acknowledged, seconds: taken }) => acknowledged / taken))),
    figure(median(results.map(({ p50 }) => p50)), 2),
    figure(median(results.map(({ p99 }) => p99)), 2),
    figure(median(results.map(({ max }) => max)), 1),
    figure(memoryMb(server.pid).rss),
  ]
  const ratio = median(on.results.map(({ p99 }, index) => p99 / (paused.results[index]?.p99 ?? Number.NaN)))
  process.stdout.write(
    `${machine()}\n${connections} connections, ${seconds} s, median of ${rounds}, embedder ${values.embedder}\n\n`,
  )
  process.stdout.write(
    table([['', 'req/s', 'p50 ms', 'p99 ms', 'max ms', 'MB'], row('triage paused', paused), row('triage at work', on)]),
  )
  process.stdout.write(
    `\np99 with triage at work by p99 without: ${figure(ratio, 2)} (aim ${AIM}); ${figure(median(speeds), 1)} tickets/s triaged beside it\n`,
  )
} finally {
  for (const { server } of [on, paused]) {
    server.kill('SIGCONT')
    await stop(server)
  }
  load.kill()
  rmSync(directory, { recursive: true, force: true })
}
