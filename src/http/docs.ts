import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import type { App } from './fastify.ts'

/** `/openapi.json`, made from the routes' own schemas, and a page to read it at `/docs`. */
export async function documentation(app: App): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'TicketFlow AI',
        version: '0.1.0',
        description: 'Support tickets from any platform through one webhook, stored durably before the answer.',
      },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  })
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
  // Self-contained: the page asks no other host for anything.
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    theme: { title: 'TicketFlow AI API' },
    uiConfig: { docExpansion: 'list', tryItOutEnabled: true },
  })
}
