import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query'

import { ApiError } from './client.ts'

let onSignedOut = () => {}

/** What to do when the server says 401: the router is made after the client. */
export function whenSignedOut(act: () => void): void {
  onSignedOut = act
}

export const whenSignedOutAct = () => onSignedOut()

const isSignedOut = (error: unknown) => error instanceof ApiError && error.status === 401

export const queryClient = new QueryClient({
  queryCache: new QueryCache({
    // The session’s own 401 is the answer to that very question.
    onError: (error, { queryKey }) => isSignedOut(error) && queryKey[0] !== 'session' && onSignedOut(),
  }),
  mutationCache: new MutationCache({
    onError: (error, _sent, _context, { options }) =>
      isSignedOut(error) && options.mutationKey?.[0] !== 'session' && onSignedOut(),
  }),
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      // What the server refused it refuses again; what did not reach it is worth another try.
      retry: (failures, error) =>
        failures < 2 && (!(error instanceof ApiError) || error.status === 0 || error.status >= 500),
      networkMode: 'always',
    },
    mutations: { networkMode: 'always' },
  },
})
