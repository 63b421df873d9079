import type { FastifyRequest } from 'fastify'

import type { RawRequest } from '../intake/request.ts'
import type { App } from './fastify.ts'

/** The intake verifies and parses the bytes itself, whatever type the sender gives them. */
export function takeBodiesRaw(app: App): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
}

/** `publicUrl` is where senders reach this server, where that is another name than the one they are seen to call. */
export function rawRequest(request: FastifyRequest, publicUrl: string | null = null): RawRequest {
  const { source = null } = (request.params ?? {}) as { source?: string }
  return {
    id: request.id,
    sourceId: source,
    url: source === null ? '' : (publicUrl ?? `${request.protocol}://${request.host}`) + request.url,
    receivedAt: Date.now(),
    // A socket that its sender has closed no longer knows its address, whatever the type says.
    address: request.ip ?? '',
    method: request.method,
    path: request.url,
    headers: request.headers,
    body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
  }
}
