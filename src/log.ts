import { type Logger, pino, stdTimeFunctions } from 'pino'
import pretty from 'pino-pretty'

import type { Config } from './config.ts'

/**
 * JSON lines, or readable ones on a terminal. Lines are written in blocks: a line may be up to a second late, and a
 * crash may take the last of them; what must not be lost is in the store.
 */
export function createLog(level: Config['logLevel']): { log: Logger; flush: () => void } {
  if (process.stdout.isTTY) {
    const stream = pretty({ sync: true, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' })
    return { log: pino({ level }, stream), flush: () => {} }
  }
  const destination = pino.destination({ sync: false, minLength: 16_000, periodicFlush: 1000 })
  const log = pino({ level, timestamp: stdTimeFunctions.isoTime, base: null }, destination)
  return { log, flush: () => destination.flushSync() }
}
