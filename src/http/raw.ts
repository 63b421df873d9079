import type { FastifyRequest } from 'fastify'

import type { RawRequest } from '../intake/request.ts'
import type { App } from './fastify.ts'

/** The intake verifies and parses the bytes itself, whatever type the sender gives them. */
export function takeBodiesRaw(app: App): void {
  app.removeAllContentTypeParsers()
  // What is named is found without a look at all there are; the asterisk is for everything else.
  app.addContentTypeParser(['application/json', '*'], { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
}

/** Who sends, as far as that is known before the body is. */
export const senderOf = (request: FastifyRequest): Pick<RawRequest, 'sourceId' | 'address'> => ({
  sourceId: (request.params as { source?: string } | undefined)?.source ?? null,
  // A socket that its sender has closed no longer knows its address, whatever the type says.
  address: request.ip ?? '',
})

/** `publicUrl` is where senders reach this server, where that is another name than the one they are seen to call. */
export function rawRequest(request: FastifyRequest, publicUrl: string | null = null): RawRequest {
  const sender = senderOf(request)
  return {
    id: request.id,
    ...sender,
    url: sender.sourceId === null ? '' : (publicUrl ?? `${request.protocol}://${request.host}`) + request.url,
    receivedAt: Date.now(),
    method: request.method,
    path: request.url,
    headers: request.headers,
    body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
  }
}
