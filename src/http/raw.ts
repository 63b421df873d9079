import type { FastifyRequest } from 'fastify'

import type { RawRequest } from '../intake/request.ts'
import type { App } from './fastify.ts'

/** The intake verifies and parses the bytes itself, whatever type the sender gives them. */
export function takeBodiesRaw(app: App): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
}

export function rawRequest(request: FastifyRequest): RawRequest {
  return {
    id: request.id,
    receivedAt: Date.now(),
    // A socket that its sender has closed no longer knows its address, whatever the type says.
    address: request.ip ?? '',
    method: request.method,
    path: request.url,
    headers: request.headers,
    body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
  }
}
