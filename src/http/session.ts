import type { FastifyReply } from 'fastify'
import { z } from 'zod'

import { instant, SCOPES } from '../core/key.ts'
import type { Gate, Identity } from '../intake/keys.ts'
import type { Limits } from '../intake/limits.ts'
import { SESSION_COOKIE } from '../intake/sessions.ts'
import { type App, askerOf } from './fastify.ts'
import { Errors } from './schemas.ts'

const Session = z
  .object({
    open: z.boolean().describe('Everybody on this machine may do everything; nobody has to sign in'),
    name: z.string().nullable().describe('The key’s'),
    scopes: z.array(z.enum(SCOPES)),
    expires_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Session' })

const shown = ({ open, name, scopes, expiresAt }: Identity) => ({
  open,
  name,
  scopes: [...scopes],
  expires_at: instant(expiresAt),
})

/** How a browser signs in: it shows a key once, and has a cookie that no script can read from then on. */
export const sessionRoutes = (deps: { gate: Gate; limits: Limits; publicUrl: string | null }) => async (app: App) => {
  const { gate, limits, publicUrl } = deps
  const tags = ['session']
  // Who asks has no session yet, or wants to know whether he has one.
  const config = { access: 'public' as const }

  function setCookie(protocol: string, reply: FastifyReply, token: string, expiresAt: number): void {
    const isSecure = protocol === 'https' || publicUrl?.startsWith('https:')
    const rest = `Path=/; HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}`
    reply.header('set-cookie', `${SESSION_COOKIE}=${token}; Expires=${new Date(expiresAt).toUTCString()}; ${rest}`)
  }

  app.get(
    '/session',
    { config, schema: { tags, summary: 'Who asks, and what he may', response: { 200: Session, ...Errors } } },
    async ({ headers, ip, method }) => {
      limits.address(ip, Date.now())
      await gate.recognise({ headers })
      return shown(gate.identify(askerOf({ headers, ip, method })))
    },
  )

  app.post(
    '/session',
    {
      config,
      schema: {
        tags,
        summary: 'Sign in with an admin key; for browsers, which keep the cookie',
        description: 'Needs the header `x-ticketflow-csrf: 1`, as everything does that a session changes.',
        body: z.strictObject({ key: z.string().trim().min(1).max(512) }),
        response: { 200: Session, ...Errors },
      },
    },
    async ({ body, headers, ip, method, protocol }, reply) => {
      limits.address(ip, Date.now())
      const asker = askerOf({ headers, ip, method })
      const begun = await gate.signIn(body.key, asker)
      if (begun === null) return shown(gate.identify(asker))
      setCookie(protocol, reply, begun.token, begun.expiresAt)
      return shown(begun)
    },
  )

  app.delete(
    '/session',
    { config, schema: { tags, summary: 'Sign out', response: { 204: z.null(), ...Errors } } },
    async ({ headers, ip, method, protocol }, reply) => {
      limits.address(ip, Date.now())
      await gate.signOut(askerOf({ headers, ip, method }))
      setCookie(protocol, reply, '', 0)
      return reply.code(204).send(null)
    },
  )
}
