import { setTimeout as sleep } from 'node:timers/promises'

import { type Logger, pino, stdTimeFunctions } from 'pino'
import pretty from 'pino-pretty'

import type { Config } from './config.ts'
import { createLineWriter } from './log-lines.ts'

/** How long the end of the program waits for its last lines to be read. */
const FLUSH_MS = 1000

/**
 * JSON lines, or readable ones on a terminal. JSON is written in blocks: a line may be up to a second late, and a crash
 * may take the last of them; what must not be lost is in the store.
 */
export function createLog(level: Config['logLevel']): {
  log: Logger
  flush: () => Promise<void>
  /** Takes a whole line of the level info as it is; null where lines are not JSON, or such ones are not wanted. */
  writeLine: ((line: string) => void) | null
} {
  if (process.stdout.isTTY) {
    const stream = pretty({
      sync: true,
      translateTime: 'SYS:HH:MM:ss.l',
      ignore: 'pid,hostname',
      hideObject: true,
      messageFormat: readable,
    })
    return { log: pino({ level }, stream), flush: async () => {}, writeLine: null }
  }
  const lines = createLineWriter(
    process.stdout.fd,
    (count) => `${JSON.stringify({ level: 40, msg: `${count} lines were dropped: nobody read them in time` })}\n`,
  )
  const log = pino({ level, timestamp: stdTimeFunctions.isoTime, base: null }, lines)
  // Where nobody reads any more it would be waited for in vain, and such a server could not be stopped.
  const flush = () => Promise.race([lines.flush(), sleep(FLUSH_MS, undefined, { ref: false })])
  return { log, flush, writeLine: log.isLevelEnabled('info') ? lines.write : null }
}

const NOT_FACTS = new Set(['msg', 'level', 'time', 'pid', 'hostname', 'err'])
// What moves the cursor or ends the line: only a terminal minds, and only there could input pass for a line of ours.
const CONTROL = /\p{Cc}/gu

/** One line: the message, and each fact as name=value. A fault of ours is followed by its stack. */
export function readable(line: Record<string, unknown>): string {
  const facts = Object.entries(line)
    .filter(([name, value]) => !NOT_FACTS.has(name) && value !== null)
    .map(
      ([name, value]) => `${name}=${typeof value === 'string' && value.includes(' ') ? JSON.stringify(value) : value}`,
    )
  const text = [line['msg'], ...facts].join(' ').replaceAll(CONTROL, '\u{FFFD}')
  const error = line['err']
  const stack = typeof error === 'object' && error !== null && 'stack' in error ? `\n${error.stack}` : ''
  return text + stack
}
