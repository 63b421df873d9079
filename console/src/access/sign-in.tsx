import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi, useRouter } from '@tanstack/react-router'
import { type FormEvent, useEffect, useRef, useState } from 'react'

import { ApiError } from '../api/client.ts'
import { sessionQuery, signIn } from '../api/session.ts'
import { Button } from '../parts/button.tsx'
import { Field, Input } from '../parts/field.tsx'
import { useTitle } from '../parts/page.tsx'
import { ThemeButton } from '../parts/theme.tsx'

const route = getRouteApi('/sign-in')

/** A key for a session: the key itself is in no storage and no script afterwards. */
export function SignInPage() {
  useTitle('Sign in')
  const { to } = route.useSearch()
  const router = useRouter()
  const client = useQueryClient()
  const [key, setKey] = useState('')
  const field = useRef<HTMLInputElement>(null)
  // Asked anew: what the page knew before is of a session that has ended.
  const current = useQuery({ ...sessionQuery, queryKey: ['session', 'door'], retry: false, staleTime: 0, gcTime: 0 })
  const enter = useMutation({
    mutationKey: ['session'],
    mutationFn: signIn,
    onSuccess: (session) => {
      client.clear()
      client.setQueryData(sessionQuery.queryKey, session)
      router.history.replace(to ?? '/tickets')
    },
    onError: () => field.current?.select(),
  })
  // Whoever needs no key, or has signed in elsewhere meanwhile, does not stay here.
  const isIn = current.data !== undefined && !enter.isPending
  useEffect(() => {
    if (isIn) router.history.replace(to ?? '/tickets')
  }, [isIn, to, router])

  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (key.trim() !== '') enter.mutate(key.trim())
  }
  const fault = enter.error && faultOf(enter.error)
  return (
    <main className="flex h-full flex-col items-center justify-center gap-6 p-4">
      <div className="flex items-center gap-2.5 text-xl font-semibold">
        <img src="/icon.svg" alt="" className="size-8" />
        TicketFlow
      </div>
      <form
        onSubmit={submit}
        className="flex w-full max-w-sm flex-col gap-4 rounded-xl border border-line bg-pane p-6"
        aria-labelledby="sign-in"
      >
        <div>
          <h1 id="sign-in" className="text-lg font-semibold">
            Sign in
          </h1>
          <p className="text-sm text-muted">
            {to === undefined
              ? 'This server asks for a key.'
              : 'Your session has ended, or there was none. You come back to where you were.'}
          </p>
        </div>
        <Field
          label="Key"
          error={fault}
          hint={
            <>
              <code className="font-mono">ticketflow keys create --scope admin</code> makes one.
            </>
          }
        >
          {(wired) => (
            <Input
              {...wired}
              ref={field}
              type="password"
              name="key"
              autoComplete="current-password"
              autoFocus
              spellCheck={false}
              value={key}
              onChange={(event) => setKey(event.target.value)}
              className="h-10 font-mono"
            />
          )}
        </Field>
        <p role="alert" className="sr-only">
          {fault}
        </p>
        <Button type="submit" look="main" className="h-10" disabled={enter.isPending}>
          {enter.isPending ? 'Signing in…' : 'Sign in'}
        </Button>
      </form>
      <ThemeButton />
    </main>
  )
}

function faultOf(error: Error): string {
  if (!(error instanceof ApiError)) return error.message
  if (error.status === 401) return 'This key is not known here, or it has expired.'
  if (error.status === 429) return `Too many tries. Try again in ${error.retryAfter ?? 60} s.`
  return error.message
}
