// Hostile traffic beside a good sender: what becomes of the good one, of the memory, and of the audit log.
// node bench/hostile.ts [--requests 200000] [--connections 400] [--slow 200] [--dir bench/.data]
import { spawnSync } from 'node:child_process'
import { createHmac, randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import type { HostileJob, HostileResult } from './hostile-load.ts'
import { ask, canPin, freePort, machine, memoryMb, startNode, stop, untilListens } from './process.ts'
import { figure, quantile, table } from './stats.ts'

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '200000' },
    connections: { type: 'string', default: '400' },
    slow: { type: 'string', default: '200' },
    quiet: { type: 'string', default: '20' },
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
    const sorted = latencies.toSorted((a, b) => a - b)
    return { sent: sorted.length, refused, acknowledged, p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) }
  }
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
  const quietSender = goodSender(String(secret))
  await sleep(Number(values.quiet) * 1000)
  const quiet = await quietSender()
  const rowsBefore = Number((await api('GET', '/api/audit/checkpoint'))['delivery_id'])

  const memory: number[] = []
  const watch = setInterval(() => memory.push(memoryMb(server.pid).rss), 500)
  const stormSender = goodSender(String(secret))
  const job: HostileJob = {
    port,
    requests: Number(values.requests),
    key: String(rogue['secret']),
    connections: Number(values.connections),
    slow: Number(values.slow),
  }
  const hostile = await ask<HostileResult>(attackers, job)
  const storm = await stormSender()
  clearInterval(watch)

  await sleep(1000)
  const rowsAfter = Number((await api('GET', '/api/audit/checkpoint'))['delivery_id'])
  const metrics = String((await api('GET', '/metrics'))['text'])
  const answered = Object.values(hostile.answers).reduce((sum, many) => sum + many, 0)
  const unwritten = (hostile.webhook['429'] ?? 0) + (hostile.webhook['503'] ?? 0)
  const webhook = Object.values(hostile.webhook).reduce((sum, many) => sum + many, 0) - (hostile.webhook['closed'] ?? 0)
  const slow = await slowRows(rowsBefore)
  const written = rowsAfter - rowsBefore - storm.sent - slow
  const missing: number[] = []
  for (const id of storm.acknowledged.filter((_, index) => index % 50 === 0)) {
    if (Number((await api('GET', `/api/tickets/${id}`))['id']) !== id) missing.push(id)
  }

  process.stdout.write(`${machine()}\n${answered} hostile requests in ${figure(hostile.seconds, 1)} s\n\n`)
  const rows = Object.entries(hostile.answers).toSorted(([a], [b]) => (a < b ? -1 : 1))
  process.stdout.write(`${table([['answer', 'times'], ...rows.map(([name, times]) => [name, String(times)])])}\n`)
  const line = (name: string, { sent, p50, p99 }: typeof quiet) => [name, String(sent), figure(p50, 2), figure(p99, 2)]
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
    storm.refused.length === 0,
    `the good sender was never refused (${storm.refused.length} of ${storm.sent}: ${[...new Set(storm.refused)].join(', ')})`,
  )
  claim(
    storm.p99 <= BOUND * quiet.p99,
    `its p99 is ${figure(storm.p99 / quiet.p99, 2)} times the quiet one, at most ${BOUND}`,
  )
  claim(missing.length === 0, 'what it was told to be stored is stored')
  claim(
    last <= second * 1.1,
    `memory is flat: at most ${quarters.map((most) => figure(most)).join(', ')} MB in each quarter of the run`,
  )
  claim(
    written === webhook - unwritten,
    `each of ${webhook} requests to a webhook is on record (${written}) or counted (${unwritten})`,
  )
  claim(metrics.includes('ticketflow_deliveries_total{outcome="limited"}'), 'and counted in /metrics')
} finally {
  await stop(attackers)
  await stop(server)
  await rm(directory, { recursive: true, force: true })
}
process.exitCode = faults.length === 0 ? 0 : 1
