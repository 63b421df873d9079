import type { IncomingHttpHeaders } from 'node:http'
import { PassThrough } from 'node:stream'

import type { FastifyReply } from 'fastify'

import { errorBody } from './errors.ts'

const NDJSON = 'application/x-ndjson'

/** Does what takes long: at once for most, line by line for whoever asks to hear how far it is. */
export async function told<Result>(
  { accept = '' }: IncomingHttpHeaders,
  reply: FastifyReply,
  work: (onProgress: (done: number, total: number) => void) => Promise<Result>,
): Promise<Result> {
  if (!accept.includes(NDJSON)) return work(() => {})
  const lines = new PassThrough()
  const say = (line: unknown) => lines.write(`${JSON.stringify(line)}\n`)
  reply.type(NDJSON).send(lines)
  try {
    say({ result: await work((done, total) => say({ progress: { done, total } })) })
  } catch (error) {
    say({ error: errorBody(error) })
  }
  lines.end()
  return reply as never // it has sent itself
}
