import { BlockList, isIP } from 'node:net'

import { fail } from '../core/errors.ts'
import { headerOf, type RawRequest, type Sender } from './request.ts'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

/** Whether a name or an address can only be reached from this machine. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '').toLowerCase()
  const version = isIP(name)
  if (version === 0) return name === 'localhost' || name.endsWith('.localhost')
  return loopback.check(name, version === 6 ? 'ipv6' : 'ipv4')
}

/**
 * The open mode, on loopback with no key and no source: everybody on this machine may send. A page in this machine's
 * browser may not: it shows itself by the Origin it carries, or by the Host name that it made point here.
 */
export function authenticateOpen(headers: RawRequest['headers']): Sender {
  const host = headers['host']
  if (typeof host === 'string' && !isLoopback(withoutPort(host))) {
    fail('forbidden', 'This server is open to its own machine only; address it as localhost')
  }
  const origin = headers['origin']
  // One port speaks either with TLS or without, so the scheme tells nothing more.
  if (typeof origin === 'string' && origin !== `http://${String(host)}` && origin !== `https://${String(host)}`) {
    fail('forbidden', 'This server is open to its own machine only; pages of another origin may not use it')
  }
  return { source: 'open', registered: null }
}

const withoutPort = (host: string) => host.replace(/:\d+$/, '')

/**
 * The key that makes a repeated request the same delivery, or null when the sender gave none. Of a sender that signs,
 * only what it can have signed counts: with a key of his own choice, whoever caught a delivery could send it anew.
 */
export function idempotencyKeyOf(request: RawRequest, { registered }: Sender): string | null {
  const chosen = registered?.signs ? undefined : headerOf(request, 'idempotency-key')
  const key = chosen ?? headerOf(request, 'webhook-id')
  if (key === undefined) return null
  if (key.trim() === '' || key.length > 255) fail('malformed', 'Idempotency-Key must have 1 to 255 characters')
  return key
}
