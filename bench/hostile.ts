// Hostile traffic beside a good sender: what becomes of the good one, of the memory, and of the audit log.
// node bench/hostile.ts [--requests 200000] [--connections 400] [--slow 200] [--rounds 8] [--dir bench/.data]
import { spawnSync } from 'node:child_process'
import { createHmac, randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import type { HostileJob, HostileResult } from './hostile-load.ts'
import { ask, canPin, freePort, machine, memoryMb, startNode, stop, untilListens } from './process.ts'
import { figure, median, quantile, table } from './stats.ts'

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '200000' },
    connections: { type: 'string', default: '400' },
    slow: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '8' },
    quiet: { type: 'string', default: '10' },
    dir: { type: 'string', default: 'bench/.data' },
  },
})

const KEY = 'k'.repeat(40)
const PATH = '/api/integrations/webhook'
const EVERY_MS = 10
const BOUND = 3

const directory = join(values.dir, `hostile-${process.pid}`)
await mkdir(directory, { recursive: true })
const port = await freePort()
const env = {
  PORT: String(port),
  TICKETFLOW_DATA_DIR: directory,
  TICKETFLOW_ADMIN_KEY: KEY,
  TICKETFLOW_LOG_LEVEL: 'warn',
  TICKETFLOW_ADDRESS_RATE: '12000',
}
// The good sender is this process: what makes it wait must be the server, and not the attackers beside it.
if (canPin) spawnSync('taskset', ['-p', '2', String(process.pid)])
const server = startNode({ args: ['--max-semi-space-size=16', 'bin/ticketflow.js', 'serve'], role: 'server', env })
const attackers = startNode({ args: ['bench/hostile-load.ts'], role: 'load', isLowly: true })

type Answer = { status: number; json: Record<string, unknown> }

const agent = new Agent({ keepAlive: true, localAddress: '127.0.0.2' })

function call(method: string, path: string, body: string, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = {
      agent,
      port,
      host: '127.0.0.1',
      method,
      path,
      headers: { 'content-length': body.length, ...headers },
    }
    const asked = request(options, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, json: text.startsWith('{') ? JSON.parse(text) : { text } }),
      )
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

const api = async (method: string, path: string, body: unknown = null) =>
  (
    await call(method, path, body === null ? '' : JSON.stringify(body), {
      'x-api-key': KEY,
      'content-type': 'application/json',
    })
  ).json

/** Rows of those that dripped their bodies: they never got as far as an answer. */
async function slowRows(after: number): Promise<number> {
  let found = 0
  for (let cursor = ''; ;) {
    const page = await api('GET', `/api/deliveries?outcome=rejected&source=unknown&limit=200${cursor}`)
    const rows = page['deliveries'] as { id: number; reason: string }[]
    found += rows.filter(({ id, reason }) => id > after && /ended before|too long/.test(reason)).length
    if (page['next'] === null || (rows.at(-1)?.id ?? 0) <= after) return found
    cursor = `&cursor=${String(page['next'])}`
  }
}

/** Sends a signed delivery every so often, whatever becomes of the one before, until told to stop. */
function goodSender(secret: string) {
  const latencies: number[] = []
  const refused: number[] = []
  const acknowledged: number[] = []
  const waiting = new Set<Promise<void>>()
  const send = async () => {
    const body = JSON.stringify({ id: randomUUID(), platform: 'acme', title: 'Good', description: 'x'.repeat(600) })
    const [id, at] = [randomUUID(), String(Math.floor(Date.now() / 1000))]
    const key = Buffer.from(secret.replace('whsec_', ''), 'base64')
    const signature = createHmac('sha256', key).update(`${id}.${at}.${body}`).digest('base64')
    const headers = { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': `v1,${signature}` }
    const from = performance.now()
    const { status, json } = await call('POST', `${PATH}/good`, body, headers)
    latencies.push(performance.now() - from)
    if (status === 200) acknowledged.push(Number(json['id']))
    else refused.push(status)
  }
  const timer = setInterval(() => {
    const one = send().finally(() => waiting.delete(one))
    waiting.add(one)
  }, EVERY_MS)
  return async () => {
    clearInterval(timer)
    await Promise.all(waiting)
    return { refused, acknowledged, latencies: latencies.toSorted((a, b) => a - b) }
  }
}

type Served = Awaited<ReturnType<ReturnType<typeof goodSender>>>

/** Figures of each round: those of one stand for the machine's mood as much as for the server. */
const p99s = (served: Served[]) => served.map(({ latencies }) => quantile(latencies, 0.99))
const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0)

function line(name: string, served: Served[]): string[] {
  const p50 = median(served.map(({ latencies }) => quantile(latencies, 0.5)))
  const sent = sum(served.map(({ latencies }) => latencies.length))
  return [name, String(sent), figure(p50, 2), figure(median(p99s(served)), 2)]
}

function add(totals: Record<string, number>, counts: Record<string, number>): void {
  for (const [name, times] of Object.entries(counts)) totals[name] = (totals[name] ?? 0) + times
}

const faults: string[] = []
const claim = (isSo: boolean, what: string) => {
  process.stdout.write(`${isSo ? 'ok  ' : 'FAIL'}  ${what}\n`)
  if (!isSo) faults.push(what)
}

try {
  await untilListens(server, port)
  const { secret } = await api('POST', '/api/sources', {
    id: 'good',
    scheme: 'standard-webhooks',
    networks: ['127.0.0.2'],
  })
  await api('POST', '/api/sources', { id: 'hooks', scheme: 'standard-webhooks' })
  const rogue = await api('POST', '/api/keys', { name: 'rogue', scopes: ['intake'], rate: 120 })

  const warm = goodSender(String(secret))
  await sleep(3000)
  await warm()
  const rowsBefore = Number((await api('GET', '/api/audit/checkpoint'))['delivery_id'])
  const rounds = Number(values.rounds)
  const job: HostileJob = {
    port,
    requests: Math.ceil(Number(values.requests) / rounds),
    key: String(rogue['secret']),
    connections: Number(values.connections),
    slow: Number(values.slow),
  }
  const quiet: Served[] = []
  const storm: Served[] = []
  const hostile: HostileResult = { answers: {}, webhook: {}, seconds: 0 }
  const memory: number[] = []
  // In turn, so that what else the machine does meets both.
  for (let round = 1; round <= rounds; round += 1) {
    process.stderr.write(`\rround ${round} of ${rounds} `)
    const quietSender = goodSender(String(secret))
    await sleep(Number(values.quiet) * 1000)
    quiet.push(await quietSender())
    const watch = setInterval(() => memory.push(memoryMb(server.pid).rss), 500)
    const stormSender = goodSender(String(secret))
    const { answers, webhook, seconds } = await ask<HostileResult>(attackers, job)
    storm.push(await stormSender())
    clearInterval(watch)
    add(hostile.answers, answers)
    add(hostile.webhook, webhook)
    hostile.seconds += seconds
  }
  process.stderr.write('\n')

  await sleep(1000)
  const rowsAfter = Number((await api('GET', '/api/audit/checkpoint'))['delivery_id'])
  const metrics = String((await api('GET', '/metrics'))['text'])
  const answered = sum(Object.values(hostile.answers))
  const unwritten = (hostile.webhook['429'] ?? 0) + (hostile.webhook['503'] ?? 0)
  const webhook = sum(Object.values(hostile.webhook)) - (hostile.webhook['closed'] ?? 0)
  const good = [...quiet, ...storm]
  const refused = good.flatMap((served) => served.refused)
  const acknowledged = good.flatMap((served) => served.acknowledged)
  const sent = sum(good.map(({ latencies }) => latencies.length))
  const slow = await slowRows(rowsBefore)
  const written = rowsAfter - rowsBefore - sent - slow
  const missing: number[] = []
  for (const id of acknowledged.filter((_, index) => index % 50 === 0)) {
    if (Number((await api('GET', `/api/tickets/${id}`))['id']) !== id) missing.push(id)
  }

  process.stdout.write(`${machine()}\n${answered} hostile requests in ${figure(hostile.seconds, 1)} s\n\n`)
  const rows = Object.entries(hostile.answers).toSorted(([a], [b]) => (a < b ? -1 : 1))
  process.stdout.write(`${table([['answer', 'times'], ...rows.map(([name, times]) => [name, String(times)])])}\n`)
  process.stdout.write(
    `${table([['good sender', 'sent', 'p50 ms', 'p99 ms'], line('quiet', quiet), line('beside them', storm)])}\n`,
  )
  const quarter = Math.ceil(memory.length / 4)
  const quarters = [0, 1, 2, 3].map((index) => Math.max(...memory.slice(index * quarter, (index + 1) * quarter)))
  const [, second = 0, , last = 0] = quarters
  claim(server.exitCode === null, 'the process is alive')
  claim(answered >= Number(values.requests), `all of ${values.requests} hostile requests came to an end`)
  claim(!rows.some(([name]) => / 5(?!03)\d\d$/.test(name)), 'no 500')
  claim(
    refused.length === 0,
    `the good sender was never refused (${refused.length} of ${sent}: ${[...new Set(refused)].join(', ')})`,
  )
  const ratio = median(p99s(storm)) / median(p99s(quiet))
  claim(ratio <= BOUND, `its p99 is ${figure(ratio, 2)} times the quiet one, at most ${BOUND}`)
  claim(missing.length === 0, 'what it was told to be stored is stored')
  claim(
    last <= second * 1.1,
    `memory is flat: at most ${quarters.map((most) => figure(most)).join(', ')} MB in each quarter of the run`,
  )
  claim(
    written === webhook - unwritten,
    `each of ${webhook} requests to a webhook is on record (${written}) or counted (${unwritten})`,
  )
  claim(metrics.includes('outcome="limited"}'), 'and counted in /metrics')
} finally {
  await stop(attackers)
  await stop(server)
  await rm(directory, { recursive: true, force: true })
}
process.exitCode = faults.length === 0 ? 0 : 1
