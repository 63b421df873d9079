import { fail } from '../core/errors.ts'
import type { Overload } from '../intake/overload.ts'
import type { Store } from '../store/store.ts'
import type { Metrics } from './metrics.ts'
import type { App } from './fastify.ts'

/** For whoever runs the process: alive, ready for traffic, and how it is doing. */
export const healthRoutes =
  ({ store, metrics, overload }: { store: Store; metrics: Metrics; overload: Overload }) =>
  async (app: App) => {
    const tags = ['operations']
    // What watches a process has no key, and learns nothing but that it is well.
    const config = { access: 'public' as const }

    app.get('/livez', { config, schema: { tags, summary: 'The process answers' } }, () => ({ status: 'alive' }))

    app.get('/readyz', { config, schema: { tags, summary: 'The server takes tickets' } }, async () => {
      const shed = overload.now()
      if (shed !== null) fail('unavailable', shed.detail)
      await store.probe()
      return { status: 'ready' }
    })

    app.get(
      '/metrics',
      { config: { isVital: true }, schema: { tags, summary: 'Prometheus metrics' } },
      async (_request, reply) => {
        reply.type(metrics.contentType)
        return metrics.text()
      },
    )
  }
