import { queryOptions } from '@tanstack/react-query'

import { api, ApiError } from './client.ts'
import type { About, Session } from './types.ts'

const OPEN: Session = { open: true, scopes: ['admin'], name: null, expires_at: null }

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: async ({ signal }) => {
    try {
      return await api<Session>('/api/session', { signal })
    } catch (error) {
      // A server without sessions is one that is open to its machine.
      if (error instanceof ApiError && error.status === 404) return OPEN
      throw error
    }
  },
  staleTime: 60_000,
})

/** Null where the server does not say. */
export const aboutQuery = queryOptions({
  queryKey: ['about'],
  queryFn: async ({ signal }) => {
    try {
      return await api<About>('/api/about', { signal })
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null
      throw error
    }
  },
  staleTime: Infinity,
})

/** Throws ApiError 401 for a key that is not known. */
export const signIn = (key: string) => api<Session>('/api/session', { method: 'POST', body: { key } })
export const signOut = () => api<null>('/api/session', { method: 'DELETE' })

/** Whether the session may do this; admin may do everything. */
export const may = (session: Session | undefined, scope: string) =>
  session !== undefined && (session.open || session.scopes.includes('admin') || session.scopes.includes(scope))
