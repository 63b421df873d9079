import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { loadEnvFile } from 'node:process'

import { z } from 'zod'

import { readTraces, type TraceConfig } from './config-traces.ts'
import { isNetwork } from './core/network.ts'
import { ROLES } from './core/role.ts'

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

const whole = (name: string, { min, max, preset }: { min: number; max: number; preset: number }) =>
  z
    .string()
    .default(String(preset))
    .transform(Number)
    .refine((value) => Number.isInteger(value) && value >= min && value <= max, {
      error: `${name} must be a whole number from ${min} to ${max}`,
    })

/** `paused`: jobs wait until it is on; `off`: new tickets are not triaged, and do not wait for it. */
const TRIAGE = ['on', 'paused', 'off'] as const
const EMBEDDERS = ['bundled', 'none', 'openai', 'ollama'] as const
const ADVISORS = ['none', 'anthropic', 'openai', 'ollama'] as const

const address = (name: string) =>
  z
    .string()
    .default('')
    .refine((text) => text === '' || (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)), {
      error: `${name} must be an address such as http://127.0.0.1:11434`,
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
    TICKETFLOW_TRIAGE: z.enum(TRIAGE, { error: `TICKETFLOW_TRIAGE must be one of ${TRIAGE.join(', ')}` }).default('on'),
    TICKETFLOW_EMBEDDER: z
      .enum(EMBEDDERS, { error: `TICKETFLOW_EMBEDDER must be one of ${EMBEDDERS.join(', ')}` })
      .default('bundled'),
    TICKETFLOW_EMBEDDER_URL: address('TICKETFLOW_EMBEDDER_URL'),
    TICKETFLOW_EMBEDDER_MODEL: z.string().default(''),
    TICKETFLOW_EMBEDDER_KEY: z.string().default(''),
    TICKETFLOW_LLM: z.enum(ADVISORS, { error: `TICKETFLOW_LLM must be one of ${ADVISORS.join(', ')}` }).default('none'),
    TICKETFLOW_LLM_URL: address('TICKETFLOW_LLM_URL'),
    TICKETFLOW_LLM_MODEL: z.string().default(''),
    TICKETFLOW_LLM_KEY: z.string().default(''),
    TICKETFLOW_LLM_TIMEOUT_S: whole('TICKETFLOW_LLM_TIMEOUT_S', { min: 1, max: 100, preset: 30 }),
    TICKETFLOW_LLM_DAILY_REQUESTS: whole('TICKETFLOW_LLM_DAILY_REQUESTS', { min: 0, max: 10_000_000, preset: 1000 }),
    TICKETFLOW_LLM_DAILY_TOKENS: whole('TICKETFLOW_LLM_DAILY_TOKENS', { min: 0, max: 2_000_000_000, preset: 0 }),
    TICKETFLOW_ROLE: z.enum(ROLES, { error: `TICKETFLOW_ROLE must be one of ${ROLES.join(', ')}` }).default('all'),
    DATABASE_URL: z
      .string()
      .default('')
      .refine((url) => url === '' || (URL.canParse(url) && /^postgres(?:ql)?:$/.test(new URL(url).protocol)), {
        error: 'DATABASE_URL must be an address such as postgres://user:password@host:5432/tickets',
      }),
    TICKETFLOW_DATABASE_CONNECTIONS: whole('TICKETFLOW_DATABASE_CONNECTIONS', { min: 1, max: 1000, preset: 10 }),
    TICKETFLOW_NODE_ID: z
      .string()
      .default('')
      .refine((id) => id === '' || /^[A-Za-z0-9][\w.-]{0,63}$/.test(id), {
        error: 'TICKETFLOW_NODE_ID must have at most 64 letters, digits, dots, lines and dashes',
      }),
    TICKETFLOW_WORKERS: whole('TICKETFLOW_WORKERS', { min: 1, max: 64, preset: 1 }),
  })
  .refine((env) => (env.TICKETFLOW_TLS_CERT === '') === (env.TICKETFLOW_TLS_KEY === ''), {
    error: 'TICKETFLOW_TLS_CERT and TICKETFLOW_TLS_KEY go together: set both, or neither for plain HTTP',
  })
  .refine(
    (env) => isLocalEmbedder(env) || (env.TICKETFLOW_EMBEDDER_URL !== '' && env.TICKETFLOW_EMBEDDER_MODEL !== ''),
    {
      error: 'TICKETFLOW_EMBEDDER_URL and TICKETFLOW_EMBEDDER_MODEL say which server and which model makes the vectors',
    },
  )
  .refine((env) => env.TICKETFLOW_LLM === 'none' || env.TICKETFLOW_LLM_MODEL !== '', {
    error: 'TICKETFLOW_LLM needs TICKETFLOW_LLM_MODEL, the name of the model',
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
    role: env.TICKETFLOW_ROLE,
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
    triage: env.TICKETFLOW_TRIAGE,
    embedder: embedderOf(env),
    /** Null where no language model is asked. */
    advisor:
      env.TICKETFLOW_LLM === 'none'
        ? null
        : {
            kind: env.TICKETFLOW_LLM,
            url: env.TICKETFLOW_LLM_URL || null,
            model: env.TICKETFLOW_LLM_MODEL,
            key: env.TICKETFLOW_LLM_KEY || null,
            timeoutMs: env.TICKETFLOW_LLM_TIMEOUT_S * 1000,
            requestsPerDay: env.TICKETFLOW_LLM_DAILY_REQUESTS || null,
            tokensPerDay: env.TICKETFLOW_LLM_DAILY_TOKENS || null,
          },
    /** The PostgreSQL that is the store; null is the embedded one, in the data directory. */
    databaseUrl: env.DATABASE_URL || null,
    /** How many connections read from it at most. */
    databaseConnections: env.TICKETFLOW_DATABASE_CONNECTIONS,
    /** Null is the one that the data directory keeps. */
    nodeId: env.TICKETFLOW_NODE_ID || null,
  }))

type EmbedderEnvironment = {
  TICKETFLOW_EMBEDDER: (typeof EMBEDDERS)[number]
  TICKETFLOW_EMBEDDER_URL: string
  TICKETFLOW_EMBEDDER_MODEL: string
  TICKETFLOW_EMBEDDER_KEY: string
}

function isLocalEmbedder({ TICKETFLOW_EMBEDDER: kind }: EmbedderEnvironment): boolean {
  return kind === 'bundled' || kind === 'none'
}

function embedderOf(env: EmbedderEnvironment) {
  const { TICKETFLOW_EMBEDDER: kind, TICKETFLOW_EMBEDDER_URL: url, TICKETFLOW_EMBEDDER_MODEL: model } = env
  if (kind === 'bundled' || kind === 'none') return { kind }
  return { kind, url, model, key: env.TICKETFLOW_EMBEDDER_KEY || null }
}

export type Config = z.output<typeof Environment> & {
  /** Null where nobody asks for traces. */
  traces: TraceConfig | null
  /** Which of several processes on one port this is, as the one that started it says; each is a node of its own. */
  workerSlot: number
}

/** What may be shown to an administrator: all that is no secret, by the name of what sets it. 0 is none. */
export const shownSettings = (config: Config): Record<string, string | number | null> => ({
  TICKETFLOW_RETENTION_DAYS: config.retentionDays,
  TICKETFLOW_DATA_DIR: config.dataDir,
  TICKETFLOW_PUBLIC_URL: config.publicUrl,
  TICKETFLOW_BODY_LIMIT: config.bodyLimit,
  TICKETFLOW_MAX_QUEUED: config.maxQueued,
  TICKETFLOW_ADDRESS_RATE: config.addressRate,
  TICKETFLOW_KEY_RATE: config.keyRate,
  TICKETFLOW_TRUSTED_PROXIES: config.trustedProxies.join(',') || null,
  TICKETFLOW_REQUEST_TIMEOUT_S: config.requestTimeoutMs / 1000,
  TICKETFLOW_MAX_CONNECTIONS: config.maxConnections,
  TICKETFLOW_ADDRESS_CONNECTIONS: config.addressConnections,
  TICKETFLOW_LOG_LEVEL: config.logLevel,
})

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
  return { ...parsed.data, traces, workerSlot: Number(given['WORKER_SLOT'] ?? 1) }
}

const KNOWN: ReadonlySet<string> = new Set(Object.keys(Environment.def.in.shape))

function environment(): NodeJS.ProcessEnv {
  if (existsSync('.env')) loadEnvFile('.env')
  return process.env
}
