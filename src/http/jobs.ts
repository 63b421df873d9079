import { z } from 'zod'

import { JOB_STATES, type Jobs, type StoredJob } from '../core/jobs.ts'
import type { App } from './fastify.ts'
import { Errors, Id, page } from './schemas.ts'

const Kind = z.string().min(1).max(100)

const Job = z
  .object({
    id: z.int(),
    kind: z.string(),
    state: z
      .enum(JOB_STATES)
      .describe('failed: waits for another try; dead: waits for somebody to retry or discard it'),
    ticket_id: z.int().nullable(),
    payload: z.record(z.string(), z.unknown()),
    attempts: z.int(),
    max_attempts: z.int(),
    run_at: z.iso.datetime().describe('When it is due, or was'),
    last_error: z.string().nullable(),
  })
  .meta({ id: 'Job' })

const JobPage = z.object({ jobs: z.array(Job), next: z.string().nullable() }).meta({ id: 'JobPage' })
const Retried = z.object({ retried: z.int() })

/** What is to be done after the answer, and what of it nobody could do. What is done is gone. */
export const jobRoutes = (jobs: Jobs) => async (app: App) => {
  const tags = ['jobs']

  app.get(
    '/jobs',
    {
      schema: {
        tags,
        summary: 'Jobs that are not done, newest first',
        querystring: z.object({ state: z.enum(JOB_STATES).optional(), kind: Kind.optional(), ...page }),
        response: { 200: JobPage, ...Errors },
      },
    },
    async ({ query: { state, kind, cursor, limit } }) => {
      const found = await jobs.list({ state, kind, before: cursor, limit: limit + 1 })
      const shown = found.slice(0, limit)
      return { jobs: shown.map(wire), next: found.length > limit ? String(shown.at(-1)?.id) : null }
    },
  )

  app.post(
    '/jobs/:id/retry',
    {
      schema: {
        tags,
        summary: 'Let a job run now, with all its attempts before it',
        params: Id,
        response: { 200: Retried, ...Errors },
      },
    },
    async ({ params: { id } }) => {
      await jobs.retry(id)
      return { retried: 1 }
    },
  )

  app.post(
    '/jobs/retry',
    {
      schema: {
        tags,
        summary: 'The same for all dead jobs of a kind',
        querystring: z.object({ kind: Kind }),
        response: { 200: Retried, ...Errors },
      },
    },
    async ({ query: { kind } }) => ({ retried: await jobs.retryAll(kind) }),
  )

  app.delete(
    '/jobs/:id',
    {
      schema: {
        tags,
        summary: 'Discard a job; its ticket stays',
        params: Id,
        response: { 204: z.null(), ...Errors },
      },
    },
    async ({ params: { id } }, reply) => {
      await jobs.discard(id)
      return reply.code(204).send(null)
    },
  )
}

const wire = ({ id, kind, state, ticketId, payload, attempts, maxAttempts, runAt, lastError }: StoredJob) => ({
  id,
  kind,
  state,
  ticket_id: ticketId,
  payload,
  attempts,
  max_attempts: maxAttempts,
  run_at: new Date(runAt).toISOString(),
  last_error: lastError,
})
