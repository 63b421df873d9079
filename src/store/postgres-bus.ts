import { randomUUID } from 'node:crypto'

import { Client } from 'pg'

import { ask, clientConfig, type Pool } from './postgres-connect.ts'

/** The one channel of NOTIFY; what a message is about is in it. */
const CHANNEL = 'ticketflow'
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000
/** A connection that says nothing is asked now and then whether it is still there. */
const ALIVE_MS = 15_000

/** Hears a message; null when some may have been missed, because the connection was lost for a while. */
type Listener = (message: string | null) => void

/** Tells all nodes on one database of what happened: at most 7,000 bytes a message, at most once, in no time. */
export type Bus = {
  /** At this node at once, at the others when they hear of it. */
  publish: (topic: string, message?: string) => Promise<void>
  /** Returns how to stop. */
  subscribe: (topic: string, listener: Listener) => () => void
  /** The text to say with `select pg_notify('ticketflow', …)` in a transaction of one's own: heard by all, also here. */
  payload: (topic: string, message?: string) => string
  close: () => Promise<void>
}

/** For a process that tells of something and hears nothing. */
export const tellerOf = (pool: Pool): Pick<Bus, 'publish' | 'subscribe'> => ({
  publish: (topic, message = '') => notify(pool, `- ${topic} ${message}`),
  subscribe: () => () => {},
})

async function notify(pool: Pool, payload: string): Promise<void> {
  await ask(pool, 'select pg_notify($1, $2)', [CHANNEL, payload])
}

/** Resolves when the bus listens. A lost connection is made again, with growing pauses, until the bus is closed. */
export async function openBus(url: string, pool: Pool): Promise<Bus> {
  const self = randomUUID()
  const topics = new Map<string, Set<Listener>>()
  let client: Client | null = null
  let timer: NodeJS.Timeout | undefined
  let pause = FIRST_PAUSE_MS
  let isClosed = false

  const tell = (topic: string, message: string | null) => topics.get(topic)?.forEach((listener) => listener(message))

  const tellAll = () => topics.forEach((_listeners, topic) => tell(topic, null))

  async function connect(): Promise<void> {
    const made = new Client(clientConfig(url, 'ticketflow events'))
    let isLost = false
    const lose = () => {
      if (isLost) return
      isLost = true
      made.end().catch(() => {})
      if (client === made) client = null
      again()
    }
    made.on('error', lose)
    made.on('end', lose)
    made.on('notification', ({ payload = '' }) => {
      const [from = '', topic = '', ...rest] = payload.split(' ')
      if (from !== self) tell(topic, rest.join(' '))
    })
    try {
      await made.connect()
      await made.query(`listen ${CHANNEL}`)
    } catch (error) {
      isLost = true
      made.end().catch(() => {})
      throw error
    }
    if (isClosed) return void made.end().catch(() => {})
    client = made
    pause = FIRST_PAUSE_MS
    watch(made, lose)
  }

  function watch(watched: Client, lose: () => void): void {
    const beat = setInterval(() => {
      if (client !== watched) return clearInterval(beat)
      const late = setTimeout(lose, ALIVE_MS)
      watched.query('select 1').then(
        () => clearTimeout(late),
        () => {
          clearTimeout(late)
          lose()
        },
      )
    }, ALIVE_MS)
    beat.unref()
  }

  function again(): void {
    if (isClosed) return
    timer = setTimeout(() => {
      connect().then(tellAll, again)
    }, pause)
    timer.unref()
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS)
  }

  await connect()
  return {
    publish: async (topic, message = '') => {
      tell(topic, message)
      await notify(pool, `${self} ${topic} ${message}`)
    },
    subscribe: (topic, listener) => {
      const listeners = topics.get(topic) ?? new Set()
      topics.set(topic, listeners.add(listener))
      return () => listeners.delete(listener)
    },
    payload: (topic, message = '') => `- ${topic} ${message}`,
    close: async () => {
      isClosed = true
      clearTimeout(timer)
      await client?.end().catch(() => {})
      client = null
    },
  }
}
