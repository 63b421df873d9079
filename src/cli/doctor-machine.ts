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
import { request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'

import { isObject, jsonOrNull } from '../core/json.ts'

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
  protocol: 'http' | 'https',
): Promise<'free' | 'ticketflow' | 'taken' | { reason: string }> {
  const error = await tryToListen(host, port)
  if (error === null) return 'free'
  if (error.code !== 'EADDRINUSE') return { reason: error.message }
  return (await isTicketFlow(host, port, protocol)) ? 'ticketflow' : 'taken'
}

function tryToListen(host: string, port: number): Promise<NodeJS.ErrnoException | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', resolve)
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}

/** Asks who answers, and tells nothing: so the certificate may be anybody's. */
function isTicketFlow(host: string, port: number, protocol: 'http' | 'https'): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const options = {
    host: host.replace(/^\[|\]$/g, ''),
    port,
    path: '/api/integrations/webhook/health',
    timeout: 2000,
    agent: false,
    rejectUnauthorized: false,
  }
  const request = protocol === 'https' ? requestTls(options) : requestPlain(options)
  request.on('response', (response) => {
    text(response).then(
      (body) => resolve(isHealth(body)),
      () => resolve(false),
    )
  })
  request.on('timeout', () => request.destroy())
  request.on('error', () => resolve(false))
  request.end()
  return promise
}

function isHealth(body: string): boolean {
  const said = jsonOrNull(body)
  return isObject(said) && said['endpoint'] === 'webhook'
}
