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
      tags: [
        { name: 'webhook', description: 'Where senders deliver' },
        { name: 'tickets', description: 'What became of it' },
        { name: 'deliveries', description: 'Every request to the webhook, with the reason when it was refused' },
        { name: 'operations', description: 'For whoever runs the server' },
      ],
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  })

  app.get('/openapi.json', { schema: { hide: true } }, () => withUsedSchemas(app.swagger()))

  // Self-contained: the page asks no other host for anything.
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    theme: {
      title: 'TicketFlow AI: API',
      css: [{ filename: 'page.css', content: '.swagger-ui .topbar { display: none }' }],
    },
    uiConfig: { docExpansion: 'list', tryItOutEnabled: true, defaultModelsExpandDepth: 0 },
    transformSpecification: withUsedSchemas,
  })
}

/**
 * Each zod schema comes twice, as what is sent (`TicketInput`) and as what is answered (`Ticket`): leaves those that some
 * route refers to, under the plain name where only one is.
 */
function withUsedSchemas<Document extends object>(document: Readonly<Document>): Document {
  const text = JSON.stringify(document)
  const isUsed = (name: string) => text.includes(`"#/components/schemas/${name}"`)
  const plain = text.replaceAll(/(#\/components\/schemas\/)(\w+)Input"/g, (whole, path: string, name: string) =>
    isUsed(name) ? whole : `${path}${name}"`,
  )
  const result = JSON.parse(plain)
  const { schemas } = result.components
  for (const name of Object.keys(schemas)) {
    const output = name.replace(/Input$/, '')
    if (name !== output && isUsed(name) && !isUsed(output)) schemas[output] = schemas[name]
    if (!plain.includes(`"#/components/schemas/${name}"`)) delete schemas[name]
  }
  return result
}
