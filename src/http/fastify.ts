import type { IncomingMessage, ServerResponse } from 'node:http'

import type {
  FastifyBaseLogger,
  FastifyContextConfig,
  FastifyInstance,
  FastifyRequest,
  RawServerDefault,
} from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { z } from 'zod'

import type { Scope } from '../core/key.ts'
import type { Asker } from '../intake/keys.ts'

/** Fastify with its schemas written in zod: what each file of routes is given to add itself to. */
export type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>

export const JSON_TYPE = 'application/json; charset=utf-8'

/** For an answer that is written as JSON text already: the schema describes it in the reference. */
export const asText = (schema: z.ZodType) => schema as unknown as z.ZodType<string>

/** What a route asks of a key. `public` asks for none; `intake` is asked by the intake, which puts a refusal on record. */
export type Access = Scope | 'public'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Left out: `read` for GET and HEAD, `write` for the rest. */
    access?: Access
    /** Answered under overload too: whoever looks at the server needs it most then. Public routes are in any case. */
    isVital?: boolean
  }
  interface FastifyRequest {
    /** Who asks: `open`, or `key:` and the id of the key. Empty where a route is public. */
    actor: string
  }
}

export const accessOf = (method: string, { access }: FastifyContextConfig): Access =>
  access ?? (method === 'GET' || method === 'HEAD' ? 'read' : 'write')

/** What of a request tells the gate who asks. */
export const askerOf = ({ headers, ip, method }: Pick<FastifyRequest, 'headers' | 'ip' | 'method'>): Asker => ({
  headers,
  address: ip,
  method,
})
