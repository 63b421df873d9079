import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fdatasyncSync,
  openSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'

const TMPFS = 0x01021994
const RAMFS = 0x858458f6
const SYNCS = 21
const PAGE = Buffer.alloc(4096, 'ticketflow')

type Directory = { kind: 'usable'; mode: number } | { kind: 'absent' } | { kind: 'unusable'; reason: string }

/** Whether the server could keep its data there; `mode` are its permission bits. */
export function examineDirectory(directory: string): Directory {
  const found = statSync(directory, { throwIfNoEntry: false })
  const folder = nearestFolder(directory)
  try {
    if (!statSync(folder).isDirectory()) return { kind: 'unusable', reason: `${folder} is a file, not a directory` }
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch {
    return { kind: 'unusable', reason: `${folder} cannot be written` }
  }
  return found === undefined ? { kind: 'absent' } : { kind: 'usable', mode: found.mode & 0o777 }
}

/** The path itself, or of its parents the nearest that is there. */
export function nearestFolder(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestFolder(dirname(path))
}

/** Bytes that this user can still write, and bytes that there are. */
export function freeSpace(folder: string): { free: number; total: number; isMemory: boolean } {
  const { bavail, blocks, bsize, type } = statfsSync(folder)
  return { free: bavail * bsize, total: blocks * bsize, isMemory: type === TMPFS || type === RAMFS }
}

/** Milliseconds to bring a page of a growing file to the disk, as each commit does: the median of some. */
export function syncTime(folder: string): number {
  const path = join(folder, `.ticketflow-doctor-${process.pid}`)
  const file = openSync(path, 'wx', 0o600)
  try {
    const times = Array.from({ length: SYNCS }, () => {
      const started = performance.now()
      writeSync(file, PAGE)
      fdatasyncSync(file)
      return performance.now() - started
    })
    return times.toSorted((a, b) => a - b)[Math.floor(SYNCS / 2)] ?? 0
  } finally {
    closeSync(file)
    rmSync(path, { force: true })
  }
}

/** Who has the port: nobody, a TicketFlow server, somebody else; or why it cannot be had. */
export async function portState(
  host: string,
  port: number,
): Promise<'free' | 'ticketflow' | 'taken' | { reason: string }> {
  const error = await tryToListen(host, port)
  if (error === null) return 'free'
  if (error.code !== 'EADDRINUSE') return { reason: error.message }
  return (await isTicketFlow(host, port)) ? 'ticketflow' : 'taken'
}

function tryToListen(host: string, port: number): Promise<NodeJS.ErrnoException | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', resolve)
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}

async function isTicketFlow(host: string, port: number): Promise<boolean> {
  try {
    const address = host.includes(':') ? `[${host.replace(/^\[|\]$/g, '')}]` : host
    const response = await fetch(`http://${address}:${port}/api/integrations/webhook/health`, {
      signal: AbortSignal.timeout(2000),
    })
    const body: unknown = await response.json()
    return typeof body === 'object' && body !== null && 'endpoint' in body && body.endpoint === 'webhook'
  } catch {
    return false
  }
}
