import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

import { networkMatcher } from '../core/network.ts'
import { networkOf } from '../intake/limits.ts'

export type ConnectionBounds = {
  total: number
  perAddress: number
  /** Stand for many senders each, so that the bound for one address is not theirs. */
  trustedProxies: readonly string[]
  /** How long an answer may wait for its reader, ms. */
  answerMs: number
}

/** Why a connection was closed: its address or the server had too many, or nobody read what it was answered. */
export type Closed = 'address' | 'total' | 'unread'

type Connection = { socket: Socket; waiting: ServerResponse | null; since: number }

/** The answer that is being made or sent on a connection. Node keeps it there, and looks at it for the same reasons. */
export function answerOn(socket: Socket): ServerResponse<IncomingMessage> | null {
  const { _httpMessage: answer } = socket as Socket & { _httpMessage?: ServerResponse<IncomingMessage> | null }
  return answer ?? null
}

/**
 * Keeps the number of open connections within bounds. At a bound one gives way to the new one, so that idle and slow ones
 * lock nobody out, not even from their own address: the oldest that was never answered anything, or else the oldest, but
 * none whose request is being worked on. Returns how to see and how to stop it.
 */
export function boundConnections(server: Server, bounds: ConnectionBounds, onClosed: (why: Closed) => void) {
  const addresses = new Map<string, Map<string, Connection>>()
  const isProxy = networkMatcher(bounds.trustedProxies)
  let open = 0

  function forget(address: string, key: string): void {
    const own = addresses.get(address)
    if (!own?.delete(key)) return
    open -= 1
    if (own.size === 0) addresses.delete(address)
  }

  /** False when all of these are at work. */
  function makeRoom(address: string, why: Closed): boolean {
    const [key, victim] = leastOf(addresses.get(address) ?? new Map()) ?? []
    if (key === undefined || victim === undefined) return false
    forget(address, key)
    victim.socket.destroy()
    onClosed(why)
    return true
  }

  function fullest(): string {
    let [most, found] = [0, '']
    for (const [address, { size }] of addresses) if (size > most) [most, found] = [size, address]
    return found
  }

  function refuse(socket: Socket, why: Closed): void {
    socket.destroy()
    onClosed(why)
  }

  server.on('connection', (socket: Socket) => {
    const { remoteAddress, remotePort } = socket
    if (remoteAddress === undefined) return void socket.destroy() // it is closed already
    const address = networkOf(remoteAddress)
    const isFull = (addresses.get(address)?.size ?? 0) >= bounds.perAddress
    if (isFull && !isProxy(remoteAddress) && !makeRoom(address, 'address')) return refuse(socket, 'address')
    if (open >= bounds.total && !makeRoom(fullest(), 'total')) return refuse(socket, 'total')
    const own = addresses.get(address) ?? new Map<string, Connection>()
    addresses.set(address, own)
    const key = `${remoteAddress} ${remotePort}`
    own.set(key, { socket, waiting: null, since: 0 })
    open += 1
    socket.once('close', () => forget(address, key))
  })

  // With TLS the answers are on another socket, which is known once the handshake is done.
  server.on('secureConnection', (socket: Socket) => {
    const { remoteAddress, remotePort } = socket
    const found = remoteAddress && addresses.get(networkOf(remoteAddress))?.get(`${remoteAddress} ${remotePort}`)
    if (found) found.socket = socket
  })

  function sweep(): void {
    const now = Date.now()
    for (const own of addresses.values()) {
      for (const connection of own.values()) {
        const { socket } = connection
        const waiting = socket.writableLength > 0 ? answerOn(socket) : null
        if (waiting !== connection.waiting) Object.assign(connection, { waiting, since: now })
        else if (waiting !== null && now - connection.since >= bounds.answerMs) refuse(socket, 'unread')
      }
    }
  }
  const timer = setInterval(sweep, Math.min(5_000, bounds.answerMs / 2))
  timer.unref()

  return { open: () => open, stop: () => clearInterval(timer) }
}

/** They are in the order in which they were opened. */
function leastOf(own: ReadonlyMap<string, Connection>): [string, Connection] | undefined {
  let oldest: [string, Connection] | undefined
  for (const entry of own) {
    const { socket } = entry[1]
    if (isAtWork(socket)) continue
    if (socket.bytesWritten === 0) return entry
    oldest ??= entry
  }
  return oldest
}

function isAtWork(socket: Socket): boolean {
  const answer = answerOn(socket)
  return answer !== null && answer.req.complete && !answer.writableEnded
}
