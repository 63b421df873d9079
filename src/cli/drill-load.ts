import { Agent, request as httpRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

import { isObject } from '../core/json.ts'
import { jsonOf } from './check-call.ts'
import type { Delivery } from './drill-senders.ts'
import { RENEWED, type Work } from './drill-work.ts'

const PATIENCE_MS = 10_000
const PAUSE_MS = 20
const WEBHOOK = '/api/integrations/webhook'

type Answer = { status: number; text: string; ms: number }

/**
 * Senders that send each delivery to the source of their platform until it is answered with 200, as the real ones do: again with the same bytes after a
 * reset, a refused connection or a 5xx, now and then under another delivery id. `port` is null while no server runs.
 */
export function createLoad(options: {
  work: Work
  connections: number
  port: () => number | null
  onAcknowledged: (delivery: Delivery, ticket: number) => void
}) {
  const { work, connections, port, onAcknowledged } = options
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const counts = { requests: 0, answers: 0, retries: 0, unanswered: 0 }
  const latencies: number[] = []
  /** What a sender was told that it should not send again: each is a fault, as all that is sent is good. */
  const refusals: string[] = []
  const halt = new AbortController()

  async function deliver(first: Delivery): Promise<void> {
    let delivery = first
    while (!halt.signal.aborted) {
      const to = port()
      const answer = to === null ? null : await post(to, delivery)
      if (answer?.status === 200) return accept(delivery, answer)
      if (answer !== null && answer.status < 500) return refuse(delivery, answer)
      if (to !== null) {
        counts.retries += 1
        if (Math.random() < RENEWED) delivery = delivery.renewed()
      }
      await sleep(PAUSE_MS * (0.5 + Math.random()))
    }
    counts.unanswered += 1
  }

  function accept(delivery: Delivery, answer: Answer): void {
    const ticket = jsonOf(answer.text)
    const id = isObject(ticket) ? ticket['id'] : undefined
    if (typeof id !== 'number') return refuse(delivery, answer)
    counts.answers += 1
    latencies.push(answer.ms)
    onAcknowledged(delivery, id)
  }

  function refuse({ told }: Delivery, { status, text }: Answer): void {
    refusals.push(`${told.platform} ${told.externalId} was answered ${status}: ${text.slice(0, 200)}`)
  }

  /** Null where no whole answer came. */
  function post(to: number, delivery: Delivery): Promise<Answer | null> {
    counts.requests += 1
    const started = performance.now()
    const body = Buffer.from(delivery.body)
    const headers = { ...delivery.headers(), 'content-length': body.length }
    return new Promise((resolve) => {
      const request = httpRequest({
        host: '127.0.0.1',
        port: to,
        path: `${WEBHOOK}/${delivery.told.platform}`,
        method: 'POST',
        headers,
        agent,
      })
      request.setTimeout(PATIENCE_MS, () => request.destroy())
      request.once('error', () => resolve(null))
      request.once('response', (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', () => resolve(null))
        response.once('close', () => {
          const [status, text] = [response.statusCode ?? 0, Buffer.concat(chunks).toString()]
          resolve(response.complete ? { status, text, ms: performance.now() - started } : null)
        })
      })
      request.end(body)
    })
  }

  async function sender(): Promise<void> {
    for (let delivery = work.next(); delivery !== null && !halt.signal.aborted; delivery = work.next())
      await deliver(delivery)
  }

  return {
    /** Resolves when everything was sent and answered, or after `halt`. */
    run: async () => {
      await Promise.all(Array.from({ length: connections }, sender))
      agent.destroy()
    },
    halt: () => halt.abort(),
    counts,
    latencies,
    refusals,
  }
}

export type Load = ReturnType<typeof createLoad>
