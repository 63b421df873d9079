// What peers store in, each started for the bench alone, in its directory, on the servers' core.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'

import pg from 'pg'

import { startPostgres } from '../test/postgres.ts'
import { canPin, cpuSeconds, freePort, stop, untilListens } from './process.ts'

/** `cpu` is what all its processes used since their start, in seconds. */
export type Engine = {
  env: Record<string, string>
  cpu: () => number
  count: () => Promise<number>
  close: () => Promise<void>
}

const SERVER_CORE = '0'

/** PostgreSQL as the tests start it, with fsync and synchronous_commit as they come: on. */
export async function postgres(directory: string, { isPinned = canPin } = {}): Promise<Engine> {
  // It is a user of its own where this is root, and has to reach its data.
  chmodSync(directory, 0o755)
  process.env['TMPDIR'] = directory
  const server = await startPostgres({ own: true })
  const url = await server.database()
  const data = String(await query(url, "select current_setting('data_directory') as value"))
  const postmaster = Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0])
  if (isPinned) spawnSync('taskset', ['-a', '-p', '-c', SERVER_CORE, String(postmaster)])
  return {
    env: { DATABASE_URL: url },
    cpu: () => [postmaster, ...childrenOf(postmaster)].reduce((sum, pid) => sum + cpuSeconds(pid), 0),
    count: async () => Number(await query(url, 'select count(*) as value from tickets')),
    close: () => server.stop(),
  }
}

async function query(url: string, sql: string): Promise<unknown> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return (await client.query(sql)).rows[0].value
  } finally {
    await client.end()
  }
}

const parentOf = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1])

const childrenOf = (parent: number): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return parentOf(pid) === parent
      } catch {
        return false
      }
    })

/** Null where the machine has no redis-server. */
export async function redis(directory: string): Promise<Engine | null> {
  if (spawnSync('redis-server', ['--version']).status !== 0) return null
  const port = await freePort()
  const pinned = canPin ? ['taskset', '-c', SERVER_CORE] : []
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', '']
  const [program = '', ...args] = [
    ...pinned,
    'redis-server',
    ...options,
    '--appendonly',
    'yes',
    '--appendfsync',
    'always',
  ]
  const child: ChildProcess = spawn(program, args, { stdio: 'ignore' })
  await untilListens(child, port)
  return {
    env: { REDIS_PORT: String(port) },
    cpu: () => cpuSeconds(child.pid),
    count: () => lengthOf(port),
    close: () => stop(child),
  }
}

async function lengthOf(port: number): Promise<number> {
  const socket = connect({ host: '127.0.0.1', port })
  socket.write('LLEN tickets\r\n')
  const [answer] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return Number(answer.toString().slice(1))
}

const FLOW = [
  { id: 'tab', type: 'tab', label: 'tickets' },
  { id: 'in', z: 'tab', type: 'http in', url: '/api/integrations/webhook', method: 'post', wires: [['text']] },
  {
    id: 'text',
    z: 'tab',
    type: 'function',
    outputs: 1,
    func: 'msg.ticket = msg.payload; msg.payload = JSON.stringify(msg.payload); return msg',
    wires: [['file']],
  },
  {
    id: 'back',
    z: 'tab',
    type: 'function',
    outputs: 1,
    func: 'msg.payload = msg.ticket; return msg',
    wires: [['out']],
  },
  { id: 'out', z: 'tab', type: 'http response', statusCode: '200', wires: [] },
]

/** Installs Node-RED into the directory. Null where the registry cannot be reached, or it does not come in time. */
export function nodeRed(directory: string): { script: string[]; count: () => Promise<number> } | null {
  const home = join(directory, 'home')
  mkdirSync(home, { recursive: true })
  const install = ['install', '--prefix', directory, '--no-audit', '--no-fund', '--omit=dev', 'node-red@4']
  if (spawnSync('npm', install, { stdio: 'ignore', timeout: 240_000 }).status !== 0) return null
  const file = join(directory, 'tickets.txt')
  writeFileSync(file, '')
  const keep = { id: 'file', z: 'tab', type: 'file', filename: file, filenameType: 'str', appendNewline: true }
  const write = { ...keep, createDir: false, overwriteFile: 'false', encoding: 'none', wires: [['back']] }
  // What has no place on the canvas is taken for a setting, and not wired.
  const flow = [...FLOW, write].map((node) => Object.assign({ x: 100, y: 100 }, node))
  writeFileSync(join(home, 'flows.json'), JSON.stringify(flow))
  const settings = `module.exports = { flowFile: 'flows.json', uiHost: '127.0.0.1', uiPort: process.env.PORT, disableEditor: true,
    logging: { console: { level: 'warn', metrics: false, audit: false } } }\n`
  writeFileSync(join(home, 'settings.js'), settings)
  return {
    script: [join(directory, 'node_modules/node-red/red.js'), '--userDir', home],
    count: async () => readFileSync(file, 'utf8').split('\n').length - 1,
  }
}
