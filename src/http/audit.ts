import { checkpointJson } from '../core/audit.ts'
import { fail } from '../core/errors.ts'
import type { AuditReader } from '../store/store.ts'
import { Checkpoint, Errors } from './schemas.ts'
import type { App } from './fastify.ts'

export const auditRoutes = (store: AuditReader) => async (app: App) => {
  app.get(
    '/audit/checkpoint',
    {
      schema: {
        tags: ['deliveries'],
        summary: 'The newest link of the audit log, to be kept elsewhere for `ticketflow audit verify --checkpoint`',
        response: { 200: Checkpoint, ...Errors },
      },
    },
    async () => checkpointJson((await store.checkpoint()) ?? fail('not_found', 'No delivery is in the chain yet')),
  )
}
