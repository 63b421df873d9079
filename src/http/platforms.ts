import { type Platform, nameOf } from '../core/platform.ts'
import type { Intake } from '../intake/ingest.ts'
import type { App } from './fastify.ts'
import { rawRequest, takeBodiesRaw } from './raw.ts'
import { Errors, PlatformList, Preview, Whose } from './schemas.ts'

/** Which senders are understood, and what would become of a body of theirs. */
export const platformRoutes = (platforms: readonly Platform[], intake: Intake) => async (app: App) => {
  const tags = ['platforms']
  const list = { platforms: platforms.map(wire) }

  app.get(
    '/platforms',
    { schema: { tags, summary: 'The senders that are understood', response: { 200: PlatformList, ...Errors } } },
    async () => list,
  )

  await app.register(async (scope: App) => {
    takeBodiesRaw(scope)
    scope.post(
      '/preview',
      {
        config: { access: 'intake' },
        schema: {
          tags,
          summary: 'What would become of this body, headers and all; nothing is stored',
          querystring: Whose,
          response: { 200: Preview, ...Errors },
        },
      },
      (request) => intake.preview(rawRequest(request)),
    )
  })
}

function wire(platform: Platform) {
  return {
    id: platform.id,
    name: nameOf(platform),
    label: platform.label,
    events: [...platform.kinds],
    verification: Object.keys(platform.schemes),
    recognised_by_headers: [...(platform.headers ?? [])],
    priorities: platform.priorities ?? {},
  }
}
