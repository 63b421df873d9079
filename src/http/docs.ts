import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'

import type { App } from './fastify.ts'

/** Its own files and nobody else's; the page styles itself as it draws. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

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
        { name: 'articles', description: 'The knowledge base: what need not be answered twice' },
        { name: 'search', description: 'Tickets and articles by what they are about' },
        { name: 'deliveries', description: 'Every request to the webhook, with the reason when it was refused' },
        { name: 'platforms', description: 'Which senders are understood, and what would become of a body' },
        { name: 'keys', description: 'Who may send and read' },
        { name: 'session', description: 'How the console signs in' },
        { name: 'sources', description: 'Registered senders: signatures, networks, field maps' },
        { name: 'operations', description: 'For whoever runs the server' },
      ],
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'An API key, once there is one' },
          header: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
          basic: { type: 'http', scheme: 'basic', description: 'The key is the password' },
        },
      },
      security: [{ bearer: [] }, { header: [] }, { basic: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  })

  app.get('/openapi.json', { schema: { hide: true } }, () => withUsedSchemas(app.swagger()))

  // Self-contained: the page asks no other host for anything.
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: PAGE_POLICY,
    theme: {
      title: 'TicketFlow AI: API',
      css: [{ filename: 'page.css', content: '.swagger-ui .topbar { display: none }' }],
    },
    uiConfig: { docExpansion: 'list', tryItOutEnabled: true, defaultModelsExpandDepth: 0 },
    transformSpecification: withUsedSchemas,
  })
}

const SCHEMA = /#\/components\/schemas\/(\w+)"/g

/**
 * Each zod schema comes twice, as what is sent (`TicketInput`) and as what is answered (`Ticket`): leaves those that some
 * route refers to, under the plain name where only one of the two is.
 */
function withUsedSchemas(document: object): Record<string, unknown> {
  const { paths, components, ...rest } = JSON.parse(JSON.stringify(document))
  const used: Record<string, unknown> = {}
  const collect = (part: unknown): void => {
    for (const [, name = ''] of JSON.stringify(part).matchAll(SCHEMA)) {
      if (name in used) continue
      used[name] = components.schemas[name]
      collect(used[name])
    }
  }
  collect(paths)
  const plain = (name: string) => (name.replace(/Input$/, '') in used ? name : name.replace(/Input$/, ''))
  const schemas = Object.fromEntries(Object.entries(used).map(([name, schema]) => [plain(name), schema]))
  const text = JSON.stringify({ ...rest, paths, components: { ...components, schemas } })
  return JSON.parse(text.replaceAll(SCHEMA, (_whole, name: string) => `#/components/schemas/${plain(name)}"`))
}
