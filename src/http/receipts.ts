import { z } from 'zod'

import type { ShownKey } from '../store/receipt-key.ts'
import type { App } from './fastify.ts'

const KeySet = z.object({
  keys: z.array(
    z.object({
      kty: z.literal('OKP'),
      crv: z.literal('Ed25519'),
      x: z.string(),
      kid: z.string(),
      use: z.string(),
      alg: z.string(),
      pem: z.string(),
    }),
  ),
})

/** The public keys of receipts, a JWK Set: the first signs here now, the others did before, or do at other nodes. */
export const receiptRoutes = (keys: () => readonly ShownKey[]) => async (app: App) => {
  app.get(
    '/.well-known/ticketflow-receipt-key',
    {
      config: { access: 'public' },
      schema: {
        tags: ['webhook'],
        summary:
          'The public keys that verify the header TicketFlow-Receipt (Ed25519), of all nodes; the first signs here now',
        response: { 200: KeySet },
      },
    },
    () => ({ keys: [...keys()] }),
  )
}
