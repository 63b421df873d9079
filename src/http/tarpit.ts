import { setTimeout as sleep } from 'node:timers/promises'

import type { FastifyReply, FastifyRequest } from 'fastify'

import type { Limits } from '../intake/limits.ts'
import { statusOf } from './errors.ts'

/**
 * Long enough to slow down whoever waits for an answer before sending again; an honest sender would wait longer. Not
 * the same for all: who was refused together would come again together.
 */
const DELAY_MS = { least: 300, spread: 400 }
/** So many may wait at a time; beyond, the connection is closed instead, which costs its sender more than us. */
const MOST = 2_000

export type Tarpit = (error: unknown, request: FastifyRequest, reply: FastifyReply) => Promise<void>

/**
 * Lets refusals wait, without their bodies, so that others are served meanwhile: of those who come too often, and of
 * those who have been refused a few times already.
 */
export function createTarpit({ isSuspect }: Pick<Limits, 'isSuspect'>): Tarpit {
  let waiting = 0
  return async (error, request, reply) => {
    const status = statusOf(error)
    if (status !== 429 && (status >= 500 || !isSuspect(request.ip, Date.now()))) return
    if (waiting >= MOST) return void reply.header('connection', 'close')
    waiting += 1
    request.body = undefined
    await sleep(DELAY_MS.least + Math.random() * DELAY_MS.spread, undefined, { ref: false })
    waiting -= 1
  }
}
