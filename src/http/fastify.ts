import type { IncomingMessage, ServerResponse } from 'node:http'

import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { z } from 'zod'

/** Fastify with its schemas written in zod: what each file of routes is given to add itself to. */
export type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>

export const JSON_TYPE = 'application/json; charset=utf-8'

/** For an answer that is written as JSON text already: the schema describes it in the reference. */
export const asText = (schema: z.ZodType) => schema as unknown as z.ZodType<string>
