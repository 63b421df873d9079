import { setTimeout as sleep } from 'node:timers/promises'

import type { FastifyReply, FastifyRequest } from 'fastify'

import { statusOf } from './errors.ts'

/** Long enough to slow down whoever waits for an answer before sending again; an honest sender would wait longer. */
const DELAY_MS = 500
/** So many may wait at a time; beyond, the connection is closed instead, which costs its sender more than us. */
const MOST = 2_000

export type Tarpit = (error: unknown, request: FastifyRequest, reply: FastifyReply) => Promise<void>

/** Lets the answer to those who come too often wait, without their bodies, so that others are served meanwhile. */
export function createTarpit(): Tarpit {
  let waiting = 0
  return async (error, request, reply) => {
    if (statusOf(error) !== 429) return
    if (waiting >= MOST) return void reply.header('connection', 'close')
    waiting += 1
    request.body = undefined
    await sleep(DELAY_MS, undefined, { ref: false })
    waiting -= 1
  }
}
