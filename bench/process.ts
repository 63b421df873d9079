import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export const ROOT = join(import.meta.dirname, '..')

/** A core each for servers and load; nobody is pinned where there is no taskset or a single core. */
const SERVER_CPU = 0
const LOAD_CPU = 1
export const canPin = [SERVER_CPU, LOAD_CPU].every(
  (cpu) => spawnSync('taskset', ['-c', String(cpu), process.execPath, '--version']).status === 0,
)

/** `isPinned`: whether servers and loads are started by `startNode`, each on its core. */
export const machine = (isPinned = canPin) =>
  `${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, ` +
  `Node ${process.versions.node}, ${isPinned ? `server on core ${SERVER_CPU}, load on core ${LOAD_CPU}` : 'nothing pinned'}`

export function startNode(options: {
  args: string[]
  /** On which core it runs; `any` on all of them. */
  role: 'server' | 'load' | 'any'
  env?: Record<string, string>
  /** Gives way to whatever else wants the core. */
  isLowly?: boolean
}): ChildProcess {
  const { args, role, env = {}, isLowly = false } = options
  const cpu = String(role === 'server' ? SERVER_CPU : LOAD_CPU)
  const lowly = isLowly ? ['nice', '-n', '19'] : []
  const [command = '', ...rest] = [
    ...lowly,
    ...(canPin && role !== 'any' ? ['taskset', '-c', cpu] : []),
    process.execPath,
    ...args,
  ]
  return spawn(command, rest, {
    cwd: ROOT,
    // Nothing of the caller's settings reaches a server.
    env: { PATH: process.env['PATH'], TICKETFLOW_TRIAGE: 'paused', ...env },
    // A server's log lines go to /dev/null, its complaints to the person who runs the benchmark.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
}

/** Sends a message and waits for the answer. */
export async function ask<Answer>(child: ChildProcess, message: object | string): Promise<Answer> {
  const answered = new AbortController()
  const died = once(child, 'exit', { signal: answered.signal }).then(([code]) => {
    throw new Error(`process ${child.pid} ended with ${code}`)
  })
  died.catch(() => {})
  child.send(message)
  const [answer] = await Promise.race([once(child, 'message', { signal: answered.signal }), died])
  answered.abort()
  return answer
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await Promise.race([exited, sleep(12_000, undefined, { ref: false })])
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  await exited
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** Waits until the server takes connections. Throws when it ended or took too long. */
export async function untilListens(child: ChildProcess, port: number, patienceMs = 15_000): Promise<void> {
  const end = performance.now() + patienceMs
  while (!(await listens(port))) {
    if (child.exitCode !== null) throw new Error(`${child.spawnargs.join(' ')} ended with ${child.exitCode}`)
    if (performance.now() > end) throw new Error(`${child.spawnargs.join(' ')} did not listen in ${patienceMs} ms`)
    await sleep(5)
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const answer = (isListening: boolean) => {
      socket.destroy()
      resolve(isListening)
    }
    socket.once('connect', () => answer(true)).once('error', () => answer(false))
  })
}

const TICKS_A_SECOND = 100 // USER_HZ, the same on every Linux

/** User and system time of a whole process since its start, in seconds; NaN where there is no /proc. */
export function cpuSeconds(pid: number | undefined): number {
  // After the name in brackets, which may hold blanks: fields 14 and 15 of proc(5).
  const fields = procFile(`${pid}/stat`).split(') ').at(-1)?.split(' ') ?? []
  return (Number(fields[11] ?? Number.NaN) + Number(fields[12] ?? Number.NaN)) / TICKS_A_SECOND
}

/** Time that all cores together were busy since the machine's start, in seconds; NaN where there is no /proc. */
export function machineBusySeconds(): number {
  const [user, nice, system, , , irq, softirq, steal] =
    procFile('stat').split('\n', 1)[0]?.split(/\s+/).slice(1).map(Number) ?? []
  return (
    [user, nice, system, irq, softirq, steal].reduce<number>((sum, ticks) => sum + (ticks ?? Number.NaN), 0) /
    TICKS_A_SECOND
  )
}

/** Memory in MB (10^6 bytes): now, and the most it ever had. */
export function memoryMb(pid: number | undefined): { rss: number; peak: number } {
  const status = procFile(`${pid}/status`)
  const of = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? Number.NaN) * 1.024e-3
  return { rss: of('VmRSS'), peak: of('VmHWM') }
}

function procFile(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8')
  } catch {
    return ''
  }
}

/**
 * Waits until a process does next to nothing: its work after the last answer (index, log, checkpoint) is done.
 * Returns the ms that took.
 */
export async function untilIdle(pid: number | undefined, patienceMs = 60_000): Promise<number> {
  const start = performance.now()
  for (;;) {
    const before = cpuSeconds(pid)
    await sleep(300)
    const isIdle = !(cpuSeconds(pid) - before > 0.02)
    if (isIdle || performance.now() - start > patienceMs) return performance.now() - start
  }
}
