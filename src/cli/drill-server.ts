import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { z } from 'zod'

import { PRIORITIES } from '../core/priority.ts'
import { STATUSES } from '../core/ticket.ts'
import type { StoredTicket } from './drill-judge.ts'

const LAUNCHER = fileURLToPath(new URL('../../bin/ticketflow.js', import.meta.url))
const READY = /"url":"http:\/\/127\.0\.0\.1:(\d{1,5})".*"msg":"ready"/
const START_PATIENCE_MS = 60_000
const STOP_PATIENCE_MS = 15_000
/** Of what the server prints, how much is kept to explain why it ended. */
const SAID = 2000

type Running = { child: ChildProcess; exited: Promise<number | null>; isEnding: boolean }

/** The real server as a process of its own, with its data in `folder` and this admin key; can be killed and started again. */
export function createScratchServer(folder: string, key: string, onDeath: (reason: string) => void) {
  let running: Running | null = null
  let port: number | null = null

  /** Resolves with the ms that it took until it could be sent to. */
  function start(): Promise<number> {
    const started = performance.now()
    const child = spawn(process.execPath, [LAUNCHER, 'serve'], {
      // Neither the caller's settings nor an .env reach it, and Ctrl-C is ours alone.
      cwd: folder,
      env: {
        HOST: '127.0.0.1',
        PORT: '0',
        TICKETFLOW_DATA_DIR: join(folder, 'data'),
        TICKETFLOW_ADMIN_KEY: key,
        // What is drilled is the intake; its jobs wait, and are kept.
        TICKETFLOW_TRIAGE: 'paused',
      },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const { promise: exited, resolve: leave } = Promise.withResolvers<number | null>()
    const { promise: ready, resolve: arrive, reject } = Promise.withResolvers<number>()
    const self: Running = { child, exited, isEnding: false }
    running = self
    let said = ''
    const listen = (chunk: Buffer) => {
      said = `${said.slice(-SAID)}${chunk.toString()}`
      const [, found] = port === null ? (READY.exec(said) ?? []) : []
      if (found === undefined) return
      port = Number(found)
      arrive(performance.now() - started)
    }
    const gone = (how: string, code: number | null) => {
      clearTimeout(patience)
      // Nobody sends to a port that somebody else may have by now.
      port = null
      running = null
      leave(code)
      const reason = `The server ended by itself (${how}): ${said.trim().slice(-SAID)}`
      reject(new Error(reason))
      if (!self.isEnding) onDeath(reason)
    }
    const patience = setTimeout(() => {
      if (port === null)
        reject(new Error(`The server was not ready after ${START_PATIENCE_MS / 1000} s: ${said.trim()}`))
    }, START_PATIENCE_MS)
    child.stdout?.on('data', listen)
    child.stderr?.on('data', listen)
    child.once('error', (error) => gone(error.message, null))
    child.once('exit', (code, signal) => gone(signal ?? `exit code ${code}`, code))
    return ready
  }

  /** Ends it with this signal and waits for that. Its exit code; null after SIGKILL, or when there was none to end. */
  async function end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    if (running === null) return null
    const { child, exited } = running
    running.isEnding = true
    child.kill(signal)
    const impatience = setTimeout(() => child.kill('SIGKILL'), STOP_PATIENCE_MS)
    const code = await exited
    clearTimeout(impatience)
    return code
  }

  return { start, end, port: () => port }
}

const Page = z.object({
  tickets: z.array(
    z.object({
      id: z.int(),
      priority: z.enum(PRIORITIES),
      status: z.enum(STATUSES),
      ticket_metadata: z.looseObject({ platform: z.string().nullish(), external_id: z.string().nullish() }),
    }),
  ),
  next: z.string().nullable(),
})

const Timeline = z.object({ timeline: z.array(z.object({ comment: z.object({ body: z.string() }).nullable() })) })

/** Where a server of the drill's is read, with whose key, and until when. */
export type Reading = { port: number; key: string; signal: AbortSignal }

/** Registers a source for each of these platforms, under its name and with this secret. */
export async function registerSources(platforms: readonly string[], secret: string, reading: Reading): Promise<void> {
  for (const platform of platforms) await ask(reading, '/api/sources', { id: platform, platform, secret })
}

/** Every ticket that the server has, as its API shows it. */
export async function readTickets(reading: Reading): Promise<StoredTicket[]> {
  const tickets: StoredTicket[] = []
  let cursor = ''
  do {
    const page = Page.parse(await ask(reading, `/api/tickets?limit=200${cursor}`))
    for (const { id, priority, status, ticket_metadata: told } of page.tickets) {
      const identity = { platform: told.platform ?? null, externalId: told.external_id ?? null }
      tickets.push({ id, priority, status, ...identity })
    }
    cursor = page.next === null ? '' : `&cursor=${page.next}`
  } while (cursor !== '')
  return tickets
}

/** The comments on the timelines of these tickets, several read at a time. */
export async function readComments(
  ids: readonly number[],
  reading: Reading,
  connections: number,
): Promise<Map<number, string[]>> {
  const comments = new Map<number, string[]>()
  const left = ids.values()
  const reader = async () => {
    for (const id of left) {
      const { timeline } = Timeline.parse(await ask(reading, `/api/tickets/${id}/timeline`))
      comments.set(
        id,
        timeline.flatMap(({ comment }) => comment?.body ?? []),
      )
    }
  }
  await Promise.all(Array.from({ length: connections }, reader))
  return comments
}

async function ask({ port, key, signal }: Reading, path: string, body?: unknown): Promise<unknown> {
  const request = { signal, headers: { 'x-api-key': key } }
  const posted = { method: 'POST', body: JSON.stringify(body), headers: { ...request.headers, ...JSON_BODY } }
  const response = await fetch(
    `http://127.0.0.1:${port}${path}`,
    body === undefined ? request : { ...request, ...posted },
  )
  if (!response.ok) throw new Error(`${path} was answered ${response.status}: ${await response.text()}`)
  return response.json()
}

const JSON_BODY = { 'content-type': 'application/json' }
