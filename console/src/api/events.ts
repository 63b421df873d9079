import { useEffect, useRef, useSyncExternalStore } from 'react'

import { ApiError } from './client.ts'
import { whenSignedOutAct } from './query.ts'

/** `ready`: listening from here on; what was missed before that comes by itself. */
type LiveKind = 'ready' | 'ticket' | 'delivery' | 'source' | 'more'
/** `more`: so much happened meanwhile that it is not told one by one; read anew what is shown. */
export type LiveEvent = { kind: LiveKind; id: string; data: unknown }
export type LiveState = 'connecting' | 'live' | 'offline' | 'absent'

const RETRY_MS = [500, 1_000, 2_000, 4_000, 8_000] as const
/** The server writes every 15 s at the least: a connection that is silent for longer is dead, whatever it says. */
const SILENCE_MS = 45_000

const listeners = new Set<(event: LiveEvent) => void>()
const watchers = new Set<() => void>()
let state: LiveState = 'connecting'
let lastId: string | null = null
let running: AbortController | null = null
let failures = 0
let timer: ReturnType<typeof setTimeout> | undefined

function become(next: LiveState): void {
  if (state === next) return
  state = next
  for (const watcher of watchers) watcher()
}

/**
 * Not EventSource: that gives up for good on a 503, tells no status, and forgets where it was when it is made anew.
 * The stream is asked for from the last event that was seen, so nothing is missed between two connections.
 */
async function connect(): Promise<void> {
  clearTimeout(timer)
  running?.abort()
  const own = new AbortController()
  running = own
  try {
    const response = await fetch('/api/events', {
      credentials: 'same-origin',
      headers: { accept: 'text/event-stream', ...(lastId !== null && { 'last-event-id': lastId }) },
      signal: own.signal,
    })
    if (response.status === 404) return become('absent')
    if (response.status === 401) return whenSignedOutAct()
    if (!response.ok || response.body === null) throw new ApiError(response.status, 'No events')
    failures = 0
    become('live')
    await read(response.body)
    throw new ApiError(0, 'The stream ended')
  } catch {
    if (running !== own || own.signal.aborted) return
    become('offline')
    const wait = RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]
    timer = setTimeout(() => void connect(), wait)
  }
}

async function read(body: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const silence = setTimeout(() => void reader.cancel(), SILENCE_MS)
    const { done, value } = await reader.read().finally(() => clearTimeout(silence))
    if (done) return
    const blocks = (rest + value).split(/\r?\n\r?\n/)
    rest = blocks.pop() ?? ''
    for (const block of blocks) take(block)
  }
}

function take(block: string): void {
  const said: Record<string, string> = {}
  for (const line of block.split(/\r?\n/)) {
    const [, name, value = ''] = /^(id|event|data):? ?(.*)$/.exec(line) ?? []
    if (name !== undefined) said[name] = name === 'data' && said['data'] ? `${said['data']}\n${value}` : value
  }
  if (said['id'] !== undefined) lastId = said['id']
  if (said['event'] === undefined) return
  const event = { kind: said['event'] as LiveKind, id: said['id'] ?? '', data: parsed(said['data'] ?? '') }
  for (const listener of listeners) listener(event)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const goOffline = () => {
  running?.abort()
  clearTimeout(timer)
  become('offline')
}

const goOnline = () => {
  failures = 0
  void connect()
}

/** Starts the stream; the shell does so once somebody is signed in. Returns what ends it. */
export function startLive(): () => void {
  addEventListener('offline', goOffline)
  addEventListener('online', goOnline)
  void connect()
  return () => {
    removeEventListener('offline', goOffline)
    removeEventListener('online', goOnline)
    running?.abort()
    running = null
    clearTimeout(timer)
    become('connecting')
  }
}

/** Calls `act` for each event while the component is shown; `act` may change between renders. */
export function useLiveEvents(act: (event: LiveEvent) => void): void {
  const latest = useRef(act)
  useEffect(() => {
    latest.current = act
  })
  useEffect(() => {
    const listener = (event: LiveEvent) => latest.current(event)
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }, [])
}

const watch = (watcher: () => void) => {
  watchers.add(watcher)
  return () => void watchers.delete(watcher)
}

/** Whether events arrive; `absent` where the server has none to tell. */
export const useLiveState = (): LiveState => useSyncExternalStore(watch, () => state)
