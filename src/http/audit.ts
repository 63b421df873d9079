import { checkpointJson } from '../core/audit.ts'
import { fail } from '../core/errors.ts'
import type { AuditReader } from '../store/store.ts'
import { Checkpoints, Errors } from './schemas.ts'
import type { App } from './fastify.ts'

export const auditRoutes = (store: AuditReader) => async (app: App) => {
  app.get(
    '/audit/checkpoint',
    {
      schema: {
        tags: ['deliveries'],
        summary:
          'The newest link of each chain of the audit log, to be kept elsewhere for `ticketflow audit verify --checkpoint`',
        response: { 200: Checkpoints, ...Errors },
      },
    },
    async () => {
      const nodes = await store.auditNodes()
      const found = await Promise.all(nodes.map((node) => store.checkpoint(node === '' ? undefined : node)))
      const [newest, ...others] = found
        .flatMap((one) => one ?? [])
        .toSorted((a, b) => b.receivedAt - a.receivedAt)
        .map(checkpointJson)
      if (newest === undefined) return fail('not_found', 'No delivery is in the chain yet')
      return { ...newest, ...(others.length > 0 && { others }) }
    },
  )
}
