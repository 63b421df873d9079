import { z } from 'zod'

import { fail } from '../core/errors.ts'
import type { Gate } from '../intake/keys.ts'
import { auditReportJson, verifyChains } from '../store/audit.ts'
import type { AuditReader } from '../store/store.ts'
import type { App } from './fastify.ts'
import { Checkpoint, Errors } from './schemas.ts'
import { told } from './told.ts'

/** What the server is, and what it was set to when it started; nothing secret. */
export type Facts = {
  version: string
  engine: 'sqlite' | 'postgres'
  /** ms since the epoch */
  startedAt: number
  publicUrl: string | null
  /** By the name of the variable that sets it. */
  settings: Record<string, string | number | null>
}

const About = z
  .object({
    version: z.string(),
    engine: z.enum(['sqlite', 'postgres']),
    public_url: z.string().nullable().describe('Where senders reach it, where that is another address'),
    is_open: z.boolean().describe('Everybody on this machine may do everything'),
    started_at: z.iso.datetime(),
    uptime_s: z.int(),
  })
  .meta({ id: 'About' })

const Settings = z
  .object({ settings: z.array(z.object({ name: z.string(), value: z.union([z.string(), z.number()]).nullable() })) })
  .meta({ id: 'Settings' })

const AuditReport = z
  .object({
    ok: z.boolean(),
    deliveries: z.int(),
    first: Checkpoint.nullable(),
    last: Checkpoint.nullable(),
    erased: z.int(),
    before_the_chain: z.int(),
    pruned: z.boolean(),
    checkpoints_proven: z.int(),
    fault: z.object({ delivery_id: z.int(), kind: z.string(), detail: z.string() }).nullable(),
  })
  .meta({ id: 'AuditReport' })

export const aboutRoutes =
  ({ facts, gate, store }: { facts: Facts; gate: Pick<Gate, 'isOpen'>; store: AuditReader }) =>
  async (app: App) => {
    const tags = ['operations']
    const admin = { access: 'admin' as const }
    let isVerifying = false

    app.get(
      '/about',
      { schema: { tags, summary: 'Which server this is', response: { 200: About, ...Errors } } },
      async () => ({
        version: facts.version,
        engine: facts.engine,
        public_url: facts.publicUrl,
        is_open: gate.isOpen(),
        started_at: new Date(facts.startedAt).toISOString(),
        uptime_s: Math.round(process.uptime()),
      }),
    )

    app.get(
      '/settings',
      {
        config: admin,
        schema: { tags, summary: 'What it is set to, by its environment', response: { 200: Settings, ...Errors } },
      },
      async () => ({ settings: Object.entries(facts.settings).map(([name, value]) => ({ name, value })) }),
    )

    app.post(
      '/audit/verify',
      {
        config: admin,
        schema: {
          tags: ['deliveries'],
          summary: 'Follow each chain of the audit log from its oldest row to the newest',
          description: 'With `Accept: application/x-ndjson` a line `{"progress":{"done","total"}}` comes now and then.',
          response: { 200: AuditReport, ...Errors },
        },
      },
      ({ headers }, reply) =>
        told(headers, reply, async (onProgress) => {
          if (isVerifying) fail('conflict', 'The audit log is being verified already; wait for that to end')
          isVerifying = true
          try {
            return auditReportJson(await verifyChains(store, onProgress))
          } finally {
            isVerifying = false
          }
        }),
    )
  }
