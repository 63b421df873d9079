import { existsSync } from 'node:fs'
import { join, sep } from 'node:path'

import serveStatic from '@fastify/static'
import type { FastifyReply } from 'fastify'

import type { App } from './fastify.ts'

/** Beside the program, in a clone and in the published package alike; bin/build-console.js makes it. */
const BUILT = join(import.meta.dirname, '../../console/dist')

/** Its own files and nobody else's, no inline script or style: text of a ticket that became markup could still do nothing. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/**
 * The addresses of console/src/router.tsx. Named one by one, so that all else stays 404: a page for any address at all would
 * tell a scanner, and a sender with a typo in its address, that it is well.
 */
const CONSOLE_PAGES = [
  '/',
  '/sign-in',
  '/welcome',
  '/tickets',
  '/tickets/:id',
  '/deliveries',
  '/deliveries/:id',
  '/articles',
  '/articles/:id',
  '/sources',
  '/sources/:id',
  '/sources/:id/:part',
  '/insights',
  '/settings',
  '/settings/:part',
] as const

const MISSING = 'The console is not built here; `npm run build:console` builds it. The API is described at /docs\n'

/** The web console at `/`: static files, the same for everybody; all that it shows it asks the API for. */
export async function consolePages(app: App): Promise<void> {
  const hide = { config: { access: 'public' as const }, schema: { hide: true } }
  if (!existsSync(join(BUILT, 'index.html'))) {
    app.get('/', hide, (_request, reply) => reply.code(404).type('text/plain; charset=utf-8').send(MISSING))
    return
  }
  await app.register(async (scope: App) => {
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, access: 'public' }
      route.schema = { ...route.schema, hide: true }
    })
    await scope.register(serveStatic, {
      root: BUILT,
      index: false,
      // One route for each file that is there: whatever else is asked for is no file of ours, and 404 as anything else.
      wildcard: false,
      globIgnore: ['**/*.gz', '**/*.br', '**/*.txt', '**/index.html'],
      preCompressed: true,
      cacheControl: false,
      setHeaders: (reply, path) => {
        const isHashed = path.includes(`${sep}assets${sep}`)
        reply.header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache')
      },
    })
    for (const path of CONSOLE_PAGES) scope.get(path, sendPage)
  })
}

function sendPage(_request: unknown, reply: FastifyReply): FastifyReply {
  reply.header('content-security-policy', PAGE_POLICY)
  return reply.sendFile('index.html')
}
