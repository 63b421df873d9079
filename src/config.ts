import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { loadEnvFile } from 'node:process'

import { z } from 'zod'

import { readTraces, type TraceConfig } from './config-traces.ts'
import { isNetwork } from './core/network.ts'

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

const whole = (name: string, { min, max, preset }: { min: number; max: number; preset: number }) =>
  z
    .string()
    .default(String(preset))
    .transform(Number)
    .refine((value) => Number.isInteger(value) && value >= min && value <= max, {
      error: `${name} must be a whole number from ${min} to ${max}`,
    })

const Environment = z
  .object({
    HOST: z.string().default('127.0.0.1'),
    PORT: whole('PORT', { min: 0, max: 65535, preset: 8000 }),
    TICKETFLOW_DATA_DIR: z.string().default('./data'),
    TICKETFLOW_LOG_LEVEL: z
      .enum(LOG_LEVELS, { error: `TICKETFLOW_LOG_LEVEL must be one of ${LOG_LEVELS.join(', ')}` })
      .default('info'),
    TICKETFLOW_BODY_LIMIT: whole('TICKETFLOW_BODY_LIMIT', { min: 1024, max: 67_108_864, preset: 1_048_576 }),
    TICKETFLOW_RETENTION_DAYS: whole('TICKETFLOW_RETENTION_DAYS', { min: 3, max: 36_500, preset: 30 }),
    TICKETFLOW_MAX_QUEUED: whole('TICKETFLOW_MAX_QUEUED', { min: 1, max: 1_000_000, preset: 10_000 }),
    TICKETFLOW_ADMIN_KEY: z
      .string()
      .default('')
      .refine((key) => key === '' || (key.length >= 32 && key.length <= 200 && /^[\x21-\x7e]+$/.test(key)), {
        error:
          'TICKETFLOW_ADMIN_KEY must have 32 to 200 characters without spaces, such as `openssl rand -hex 32` makes',
      }),
    TICKETFLOW_SECRET_KEY: z
      .string()
      .default('')
      .refine((key) => key === '' || key.length >= 32, {
        error: 'TICKETFLOW_SECRET_KEY must have 32 characters or more, such as `openssl rand -hex 32` makes',
      }),
    TICKETFLOW_PUBLIC_URL: z
      .string()
      .default('')
      .refine((url) => url === '' || (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)), {
        error: 'TICKETFLOW_PUBLIC_URL must be an address such as https://tickets.example.com',
      }),
    TICKETFLOW_ADDRESS_RATE: whole('TICKETFLOW_ADDRESS_RATE', { min: 0, max: 10_000_000, preset: 0 }),
    TICKETFLOW_KEY_RATE: whole('TICKETFLOW_KEY_RATE', { min: 0, max: 10_000_000, preset: 0 }),
    TICKETFLOW_TRUSTED_PROXIES: z
      .string()
      .default('')
      .transform((list) => list.split(',').flatMap((one) => one.trim() || []))
      .refine((list) => list.every(isNetwork), {
        error: 'TICKETFLOW_TRUSTED_PROXIES must be addresses or networks with commas between, such as 10.0.0.0/8,::1',
      }),
    TICKETFLOW_REQUEST_TIMEOUT_S: whole('TICKETFLOW_REQUEST_TIMEOUT_S', { min: 1, max: 600, preset: 30 }),
    TICKETFLOW_MAX_LOOP_DELAY_MS: whole('TICKETFLOW_MAX_LOOP_DELAY_MS', { min: 0, max: 600_000, preset: 1000 }),
    TICKETFLOW_MIN_FREE_MB: whole('TICKETFLOW_MIN_FREE_MB', { min: 0, max: 1_000_000_000, preset: 64 }),
    TICKETFLOW_MAX_MEMORY_MB: whole('TICKETFLOW_MAX_MEMORY_MB', { min: 0, max: 1_000_000_000, preset: 0 }),
    TICKETFLOW_MAX_CONNECTIONS: whole('TICKETFLOW_MAX_CONNECTIONS', { min: 1, max: 1_000_000, preset: 5000 }),
    TICKETFLOW_ADDRESS_CONNECTIONS: whole('TICKETFLOW_ADDRESS_CONNECTIONS', { min: 1, max: 1_000_000, preset: 1000 }),
    TICKETFLOW_TLS_CERT: z.string().default(''),
    TICKETFLOW_TLS_KEY: z.string().default(''),
    TICKETFLOW_TLS_CLIENT_CA: z.string().default(''),
    TICKETFLOW_WORKERS: whole('TICKETFLOW_WORKERS', { min: 1, max: 64, preset: 1 }),
  })
  .refine((env) => (env.TICKETFLOW_TLS_CERT === '') === (env.TICKETFLOW_TLS_KEY === ''), {
    error: 'TICKETFLOW_TLS_CERT and TICKETFLOW_TLS_KEY go together: set both, or neither for plain HTTP',
  })
  .refine((env) => env.TICKETFLOW_TLS_CLIENT_CA === '' || env.TICKETFLOW_TLS_CERT !== '', {
    error: 'TICKETFLOW_TLS_CLIENT_CA needs TICKETFLOW_TLS_CERT and TICKETFLOW_TLS_KEY',
  })
  .transform((env) => ({
    host: env.HOST,
    port: env.PORT,
    dataDir: resolve(env.TICKETFLOW_DATA_DIR),
    logLevel: env.TICKETFLOW_LOG_LEVEL,
    /** bytes */
    bodyLimit: env.TICKETFLOW_BODY_LIMIT,
    retentionDays: env.TICKETFLOW_RETENTION_DAYS,
    maxQueued: env.TICKETFLOW_MAX_QUEUED,
    /** Null when none is set. */
    adminKey: env.TICKETFLOW_ADMIN_KEY || null,
    /** Seals the secrets of sources; null is a file of its own. */
    secretKey: env.TICKETFLOW_SECRET_KEY || null,
    /** Where senders reach this server, without a slash at the end; null is where they are seen to call. */
    publicUrl: env.TICKETFLOW_PUBLIC_URL.replace(/\/$/, '') || null,
    /** Requests a minute; 0 is no limit. */
    addressRate: env.TICKETFLOW_ADDRESS_RATE,
    keyRate: env.TICKETFLOW_KEY_RATE,
    trustedProxies: env.TICKETFLOW_TRUSTED_PROXIES,
    requestTimeoutMs: env.TICKETFLOW_REQUEST_TIMEOUT_S * 1000,
    /** Where requests are refused for a while; 0 is never. */
    overload: {
      maxLoopDelayMs: env.TICKETFLOW_MAX_LOOP_DELAY_MS,
      minFreeBytes: env.TICKETFLOW_MIN_FREE_MB * 1_048_576,
      maxMemoryBytes: env.TICKETFLOW_MAX_MEMORY_MB * 1_048_576,
    },
    maxConnections: env.TICKETFLOW_MAX_CONNECTIONS,
    addressConnections: env.TICKETFLOW_ADDRESS_CONNECTIONS,
    /** Processes that share the port. */
    workers: env.TICKETFLOW_WORKERS,
    /** Paths of PEM files; null is plain HTTP. */
    tls:
      env.TICKETFLOW_TLS_CERT === ''
        ? null
        : {
            cert: resolve(env.TICKETFLOW_TLS_CERT),
            key: resolve(env.TICKETFLOW_TLS_KEY),
            clientCa: env.TICKETFLOW_TLS_CLIENT_CA === '' ? null : resolve(env.TICKETFLOW_TLS_CLIENT_CA),
          },
  }))

export type Config = z.output<typeof Environment> & {
  /** Null where nobody asks for traces. */
  traces: TraceConfig | null
}

/** Everything that is wrong with the configuration, a sentence each. */
export class ConfigError extends Error {
  readonly faults: string[]

  constructor(faults: string[]) {
    super(faults.join('\n'))
    this.name = 'ConfigError'
    this.faults = faults
  }
}

/** Reads the environment, and `.env` in the working directory where there is one. Throws ConfigError with all faults. */
export function readConfig(env: NodeJS.ProcessEnv = environment()): Config {
  // A variable that is set to nothing is one that was not set.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
  const parsed = Environment.safeParse(given)
  const unknown = Object.keys(given).filter((name) => name.startsWith('TICKETFLOW_') && !KNOWN.has(name))
  const { traces, faults: ofTraces } = readTraces(given)
  const faults = [
    ...(parsed.error?.issues.map((issue) => issue.message) ?? []),
    ...unknown.map((name) => `${name} is not a setting; known are ${[...KNOWN].join(', ')}`),
    ...ofTraces,
    ...(parsed.success && parsed.data.workers > 1 && !given['DATABASE_URL']
      ? ['TICKETFLOW_WORKERS needs DATABASE_URL: the embedded store belongs to one process, which writes for all']
      : []),
  ]
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults)
  return { ...parsed.data, traces }
}

const KNOWN: ReadonlySet<string> = new Set(Object.keys(Environment.def.in.shape))

function environment(): NodeJS.ProcessEnv {
  if (existsSync('.env')) loadEnvFile('.env')
  return process.env
}
