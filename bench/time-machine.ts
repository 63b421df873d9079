// How long a changed field map takes over what a source has sent, and what others wait meanwhile.
// node bench/time-machine.ts [--count 10000] [--dir bench/.data]
import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { freePort, machine, memoryMb, startNode, stop, untilIdle, untilListens } from './process.ts'
import { figure, spread } from './stats.ts'

const { values } = parseArgs({
  options: { count: { type: 'string', default: '10000' }, dir: { type: 'string', default: 'bench/.data' } },
})
const COUNT = Number(values.count)
const PER_TICKET = 4
const SENDERS = 32
const KEY = 'k'.repeat(40)

const directory = join(values.dir, `time-machine-${process.pid}`)
await mkdir(directory, { recursive: true })
const port = await freePort()
const base = `http://127.0.0.1:${port}`
const env = {
  PORT: String(port),
  TICKETFLOW_DATA_DIR: directory,
  TICKETFLOW_ADMIN_KEY: KEY,
  TICKETFLOW_LOG_LEVEL: 'warn',
}
const server = startNode({ args: ['--max-semi-space-size=16', 'bin/ticketflow.js', 'serve'], role: 'server', env })

async function call(path: string, body: unknown, headers: Record<string, string> = { 'x-api-key': KEY }) {
  const response = await fetch(base + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  const said = (await response.json()) as Record<string, unknown>
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${String(said['detail'])}`)
  return said
}

const body = (index: number) => ({
  id: `T-${Math.floor(index / PER_TICKET)}`,
  title: `Ticket ${index}`,
  description: 'words '.repeat(100),
  form: { topic: ['Billing', 'Refunds', 'Hardware'][index % 3], level: index % 5, team: { name: `team ${index % 7}` } },
  customer: { mail: `user${index % 500}@acme.example`, id: index % 500 },
  notes: Array.from({ length: 5 }, (_, note) => ({ text: `note ${note}`, at: randomUUID() })),
})

const FIELD_MAP = {
  category: 'form.topic',
  priority: 'form.level > 3 ? "high" : "low"',
  user_email: 'customer.mail',
  user_id: 'customer.id',
  metadata: '{"team": form.team.name, "notes": $join(notes.text, "; ")}',
}

try {
  await untilListens(server, port)
  const { secret } = await call('/api/sources', { id: 'bench', scheme: 'token' })
  const token = { 'x-ticketflow-token': String(secret) }
  let next = 0
  const sender = async () => {
    while (next < COUNT) {
      next += 1
      await call('/api/integrations/webhook/bench', body(next - 1), token)
    }
  }
  await Promise.all(Array.from({ length: SENDERS }, sender))
  await untilIdle(server.pid)
  process.stdout.write(`${machine()}\n`)

  for (const what of ['simulate', 'simulate', 'apply']) {
    const waits: number[] = []
    const state = { isDone: false }
    const probe = (async () => {
      while (!state.isDone) {
        const from = performance.now()
        await (await fetch(`${base}/livez`)).text()
        waits.push(performance.now() - from)
        await sleep(5)
      }
    })()
    const start = performance.now()
    const found = await call(`/api/sources/bench/${what}`, { field_map: FIELD_MAP, last: 100_000, show: 0 })
    const seconds = (performance.now() - start) / 1000
    state.isDone = true
    await probe
    const { p50, p99 } = spread(waits)
    process.stdout.write(
      `${what}: ${String(found['deliveries'])} deliveries, ${String(found['different'])} of ${String(found['tickets'])} tickets different ` +
        `in ${figure(seconds, 2)} s; meanwhile an answer took p50 ${figure(p50, 1)} ms, p99 ${figure(p99, 1)} ms; ` +
        `peak memory ${figure(memoryMb(server.pid).peak)} MB\n`,
    )
  }
} finally {
  await stop(server)
  await rm(directory, { recursive: true, force: true })
}
