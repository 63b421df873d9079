import type { ServerResponse } from 'node:http'

import { z } from 'zod'

import { AppError, fail } from '../core/errors.ts'
import type { Gate } from '../intake/keys.ts'
import { networkOf } from '../intake/limits.ts'
import type { Feed } from './feed.ts'
import { type App, asText, askerOf } from './fastify.ts'
import { Errors } from './schemas.ts'

/** How many may listen: each costs a connection, and what it has not read yet. */
const STREAMS = { total: 200, perAddress: 50 }
/** What a reader may leave unread before it is cut off. It comes back, and hears what it missed. */
const UNREAD_LIMIT = 1_048_576
/** So that whoever stands between knows that the connection lives; and how soon a revoked key is noticed. */
const HEARTBEAT_MS = 15_000
/** Asked of the reader: how long to wait before it comes back. */
const RETRY_MS = 2000

/** What happens, as it happens. */
export const eventRoutes = (feed: Feed, gate: Pick<Gate, 'recognise' | 'recheck'>) => async (app: App) => {
  const open = new Set<ServerResponse>()
  const byAddress = new Map<string, number>()

  function count(address: string, by: number): void {
    const now = (byAddress.get(address) ?? 0) + by
    if (now > 0) byAddress.set(address, now)
    else byAddress.delete(address)
  }

  app.addHook('preClose', async () => {
    for (const stream of open) stream.end()
    feed.close()
  })

  app.get(
    '/events',
    {
      schema: {
        tags: ['operations'],
        summary: 'Server-sent events: what happens, as it happens',
        description:
          'Events: `ready` (listening from here on), `ticket` and `delivery` (created or changed: its row), `source` (the sources changed), `more` (`{"deliveries","tickets"}`: so many more than are told one by one; null: how many is not known; ask for the lists again). With `Last-Event-ID` what was missed comes first.',
        headers: z.looseObject({ 'last-event-id': z.string().max(100).optional() }),
        response: { 200: asText(z.string()), ...Errors },
        produces: ['text/event-stream'],
      },
    },
    (request, reply) => {
      const address = networkOf(request.ip)
      const isFull = open.size >= STREAMS.total || (byAddress.get(address) ?? 0) >= STREAMS.perAddress
      if (isFull) fail('unavailable', 'Too many listen to events already; close a page that does')
      const asker = askerOf(request)
      const lastId = request.headers['last-event-id'] ?? null
      reply.header('content-type', 'text/event-stream; charset=utf-8')
      reply.header('x-accel-buffering', 'no') // nginx would hold it back
      // Who asks by HEAD wants to know what there is, and not to wait for it.
      if (request.method === 'HEAD') return void reply.send('')
      const headers = reply.getHeaders()
      reply.hijack()
      const { raw: stream } = reply
      stream.writeHead(200, headers as Record<string, string>) // what was set above and by the hooks: texts
      stream.write(`retry: ${RETRY_MS}\n\n`)

      const send = (text: string) => {
        stream.write(text)
        if (stream.writableLength > UNREAD_LIMIT) stream.destroy()
      }
      const beat = async () => {
        try {
          await gate.recognise(asker)
          gate.recheck(asker, 'read')
          send(': \n\n')
        } catch (error) {
          if (!(error instanceof AppError)) throw error
          stream.end()
        }
      }
      open.add(stream)
      count(address, 1)
      const timer = setInterval(() => void beat(), HEARTBEAT_MS)
      timer.unref()
      const leave = feed.follow(typeof lastId === 'string' ? lastId : null, send)
      stream.once('close', () => {
        clearInterval(timer)
        leave()
        open.delete(stream)
        count(address, -1)
      })
    },
  )
}
