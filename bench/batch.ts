// Tickets a second through the batch endpoint beside the single one, in turn, on the real server.
// node bench/batch.ts [--rounds 7] [--seconds 3] [--size 500] [--connections 4] [--dir bench/.data]
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

import type { LoadJob, LoadResult } from './load.ts'
import { ask, cpuSeconds, freePort, machine, startNode, stop, untilIdle, untilListens } from './process.ts'
import { figure, median, table } from './stats.ts'
import { ticketWith } from './ticket.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '3' },
    size: { type: 'string', default: '500' },
    connections: { type: 'string', default: '4' },
    dir: { type: 'string', default: 'bench/.data' },
  },
})
const [rounds, seconds, size] = [Number(values.rounds), Number(values.seconds), Number(values.size)]
const SINGLE_CONNECTIONS = 64
const AIM = 5

mkdirSync(values.dir, { recursive: true })
const directory = mkdtempSync(join(resolve(values.dir), 'batch-'))
const port = await freePort()
const server = startNode({
  args: ['--max-semi-space-size=16', 'bin/ticketflow.js', 'serve'],
  role: 'server',
  env: {
    PORT: String(port),
    TICKETFLOW_DATA_DIR: directory,
    TICKETFLOW_LOG_LEVEL: 'info',
    TICKETFLOW_BODY_LIMIT: '4000000',
  },
})
const load = startNode({ args: ['--max-semi-space-size=16', 'bench/load.ts'], role: 'load' })
const agent = new Agent({ keepAlive: true })
let sent = 0

/** A batch whose tickets nobody sent before; resolves to how many it made. */
function sendBatch(): Promise<number> {
  const tickets = Array.from({ length: size }, () => ticketWith(`batch${String((sent += 1)).padStart(15, '0')}`))
  const body = Buffer.from(`[${tickets.join(',')}]`)
  const headers = { 'content-type': 'application/json', 'content-length': body.length }
  const options = { agent, port, host: '127.0.0.1', method: 'POST', path: '/api/integrations/webhook/batch', headers }
  return new Promise((done, reject) => {
    const asked = request(options, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const answer = Buffer.concat(chunks).toString()
        if (response.statusCode === 200) done(Number(JSON.parse(answer).created_count))
        else reject(new Error(`${response.statusCode}: ${answer.slice(0, 200)}`))
      })
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

type Measured = { rate: number; cpu: number }

async function batches(): Promise<{ rate: number }> {
  const start = performance.now()
  let made = 0
  const converse = async () => {
    while (performance.now() - start < seconds * 1000) {
      const count = await sendBatch()
      made += count
    }
  }
  await Promise.all(Array.from({ length: Number(values.connections) }, converse))
  return { rate: (made * 1000) / (performance.now() - start) }
}

async function singles(): Promise<{ rate: number }> {
  const job: LoadJob = { port, connections: SINGLE_CONNECTIONS, seconds, requests: Number.MAX_SAFE_INTEGER }
  const { acknowledged, seconds: took } = await ask<LoadResult>(load, job)
  return { rate: acknowledged / took }
}

async function measured(run: () => Promise<{ rate: number }>): Promise<Measured> {
  await untilIdle(server.pid)
  const cpu = cpuSeconds(server.pid)
  const start = performance.now()
  const { rate } = await run()
  const tickets = (rate * (performance.now() - start)) / 1000
  await untilIdle(server.pid)
  return { rate, cpu: ((cpuSeconds(server.pid) - cpu) / tickets) * 1e6 }
}

try {
  await untilListens(server, port)
  const one: Measured[] = []
  const many: Measured[] = []
  for (let round = 0; round <= rounds; round += 1) {
    const [single, batch] = [await measured(singles), await measured(batches)]
    // The first of each is to warm up.
    if (round > 0) {
      one.push(single)
      many.push(batch)
    }
  }
  const line = (name: string, all: Measured[]) => [
    name,
    figure(median(all.map(({ rate }) => rate))),
    figure(median(all.map(({ cpu }) => cpu)), 1),
  ]
  process.stdout.write(`${machine()}\nmedian of ${rounds} rounds of ${seconds} s\n\n`)
  const rows = [line(`single, ${SINGLE_CONNECTIONS} connections`, one)]
  rows.push(line(`batches of ${size}, ${values.connections} connections`, many))
  process.stdout.write(table([['', 'tickets/s', 'CPU µs/ticket'], ...rows]))
  const ratio = median(many.map(({ rate }, index) => rate / (one[index]?.rate ?? Number.NaN)))
  process.stdout.write(`\nbatch, by single: ${figure(ratio, 2)} (aim ${AIM})\n`)
} finally {
  agent.destroy()
  await stop(load)
  await stop(server)
  rmSync(directory, { recursive: true, force: true })
}
