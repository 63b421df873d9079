import { z } from 'zod'

import { fail } from '../core/errors.ts'
import { keyIdOf, shownKey } from '../core/key.ts'
import { createKey } from '../intake/keys.ts'
import type { KeyStore } from '../store/key-store.ts'
import { Errors, Key, NewKey } from './schemas.ts'
import type { App } from './fastify.ts'

const KeyId = z.object({ id: z.string().max(50) })

/** Keys for who sends and who reads. A key's secret is in the answer that made it, and nowhere else. */
export const keyRoutes = (store: KeyStore) => async (app: App) => {
  const tags = ['keys']
  const config = { access: 'admin' as const }

  app.get(
    '/keys',
    {
      config,
      schema: {
        tags,
        summary: 'All keys, without their secrets',
        response: { 200: z.object({ keys: z.array(Key) }), ...Errors },
      },
    },
    async () => ({ keys: (await store.keys()).map(shownKey) }),
  )

  app.post(
    '/keys',
    {
      config,
      schema: {
        tags,
        summary: 'Make a key; its secret is shown this once',
        body: NewKey,
        response: { 201: Key.extend({ secret: z.string() }), ...Errors },
      },
    },
    async ({ body: { name, scopes, rate = null, expires_at: expires } }, reply) => {
      const expiresAt = expires === undefined ? null : Date.parse(expires)
      if (expiresAt !== null && expiresAt <= Date.now()) fail('malformed', 'expires_at is in the past')
      const made = await createKey(store, { name, scopes: [...new Set(scopes)], rate, expiresAt }, Date.now())
      return reply
        .code(201)
        .header('cache-control', 'no-store')
        .send({ ...shownKey(made), secret: made.secret })
    },
  )

  app.delete(
    '/keys/:id',
    { config, schema: { tags, summary: 'Revoke a key', params: KeyId, response: { 200: Key, ...Errors } } },
    async ({ params: { id } }) => {
      await store.revokeKey(id, Date.now())
      const key = (await store.keys()).find((one) => one.id === id)
      return key === undefined ? fail('not_found', `No key ${keyIdOf(id)}`) : shownKey(key)
    },
  )
}
