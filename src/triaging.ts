import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Logger } from 'pino'

import type { Config } from './config.ts'
import type { CronEntry, HandlerSpec } from './core/jobs.ts'
import type { Traces } from './core/trace.ts'
import { replaceFile } from './store/durable-file.ts'
import type { Store } from './store/store.ts'
import type { Advisor } from './triage/advisor.ts'
import { CATEGORIES } from './triage/categories.ts'
import { createEngine } from './triage/engine.ts'
import { startTriage, type Triage } from './work/triage.ts'

/** What the rest of the program gets of triage: the service where it is on, and who takes its jobs. */
type Triaging = {
  service: Triage | null
  handler: HandlerSpec | null
  cron: readonly CronEntry[]
  close: () => Promise<void>
}

const CONCURRENCY = 2
/** The embedded store puts on record together what is decided at a time; a database would have so many jobs fail with it. */
const GATHERED = 16

/** While it is off nothing is to pile up: a new ticket's job is done at once. */
const DROP: HandlerSpec = { run: async () => {}, concurrency: 8, timeLimitMs: 10_000 }

/** Composes triage: the engine in its thread, what it had learned, and the language model where one is set. */
export async function openTriage(
  config: Config,
  deps: { store: Store; log: Logger; traces: Traces | null },
): Promise<Triaging> {
  if (config.triage !== 'on') {
    return { service: null, handler: config.triage === 'off' ? DROP : null, cron: [], close: async () => {} }
  }
  const { store, log, traces } = deps
  const learned = join(config.dataDir, 'triage-model')
  const service = await startTriage({
    store,
    engine: createEngine({
      embedder: config.embedder,
      categories: CATEGORIES,
      load: () => readIfThere(learned),
      onNotice: (text) => log.warn(text),
    }),
    advisor: await advisorOf(config),
    isWorker: config.role !== 'intake',
    concurrency: config.databaseUrl === null && config.advisor === null ? GATHERED : CONCURRENCY,
    keep: (bytes) => replaceFile(learned, bytes),
    onNotice: (facts, what) => log.info(facts, what),
    onError: (error, what) => log.error({ err: error }, what),
  })
  const { handler, cron, close } = service
  return { service, handler: traces === null ? handler : traced(handler, traces), cron, close }
}

/** Loads what talks to language models only where one is set. */
async function advisorOf({ advisor }: Config): Promise<Advisor | null> {
  if (advisor === null) return null
  const { createAdvisor } = await import('./triage/advisor.ts')
  return createAdvisor(advisor)
}

async function readIfThere(path: string): Promise<Uint8Array | null> {
  try {
    return await readFile(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}

/** The trace of the request that made a ticket goes on in the ticket's job. */
function traced(spec: HandlerSpec, traces: Traces): HandlerSpec {
  return {
    ...spec,
    run: (job) => {
      const { traceparent } = job.payload
      return traces.job('triage', typeof traceparent === 'string' ? traceparent : null, () => spec.run(job))
    },
  }
}
