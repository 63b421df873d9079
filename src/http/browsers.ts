import type { FastifyReply, FastifyRequest } from 'fastify'

import { isLoopback } from '../intake/auth.ts'

/** Answers are data and nobody's to keep: no browser guesses their type, shows them in a frame or runs them. */
const FOR_BROWSERS = {
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
}

const KEEP_TO_TLS = { ...FOR_BROWSERS, 'strict-transport-security': 'max-age=31536000' }

/** Where the request came by TLS, here or at a trusted proxy, a browser is told to keep to that. */
export function sayToBrowsers(request: FastifyRequest, reply: FastifyReply): void {
  // Not on this machine's own names: a browser would ask every other program there for TLS as well.
  const keepToTls = request.protocol === 'https' && !isLoopback(request.hostname)
  reply.headers(keepToTls ? KEEP_TO_TLS : FOR_BROWSERS)
}
