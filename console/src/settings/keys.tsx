import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'

import { api } from '../api/client.ts'
import { type Key, keysQuery } from '../api/operations.ts'
import { sessionQuery, signIn } from '../api/session.ts'
import { Badge } from '../parts/badge.tsx'
import { Button } from '../parts/button.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { Field, Input, Select } from '../parts/field.tsx'
import { Failed } from '../parts/state.tsx'
import { Time } from '../parts/time.tsx'
import { say } from '../parts/toast.tsx'
import { Copyable } from '../sources/setup.tsx'
import { Section } from '../parts/section.tsx'

/** Who may send and read. */
export function Keys() {
  const found = useQuery(keysQuery)
  const session = useQuery(sessionQuery)
  const [isMaking, setMaking] = useState(false)
  const [ending, setEnding] = useState<Key | null>(null)
  const keys = found.data?.keys ?? []
  return (
    <Section
      title="API keys"
      about="For programs that send or read, and for people who sign in here. A key is shown once, and kept as a hash."
      action={<Button onClick={() => setMaking(true)}>New key…</Button>}
    >
      {found.isError && <Failed error={found.error} retry={() => void found.refetch()} />}
      {found.isSuccess && keys.length === 0 && (
        <p className="border-t border-line pt-3 text-sm text-muted">
          No key yet.{session.data?.open === true && ' With the first one this server asks everybody for a key.'}
        </p>
      )}
      <ul className="text-sm empty:hidden">
        {keys.map((key) => (
          <li key={key.id} className="flex flex-wrap items-center gap-x-3 gap-y-1 border-t border-line py-2">
            <span className="min-w-0 flex-1 basis-40">
              <span className="block truncate font-medium">{key.name}</span>
              <code className="font-mono text-xs text-muted">{key.id}…</code>
            </span>
            <span className="flex gap-1">
              {key.scopes.map((scope) => (
                <Badge key={scope} tone={scope === 'admin' ? 'warn' : 'plain'}>
                  {scope}
                </Badge>
              ))}
            </span>
            <span className="text-xs text-muted">
              {key.last_used_at === null ? (
                'never used'
              ) : (
                <>
                  used <Time at={key.last_used_at} />
                </>
              )}
            </span>
            {key.revoked_at === null ? (
              <Button size="sm" look="danger" aria-label={`Revoke ${key.name}`} onClick={() => setEnding(key)}>
                Revoke
              </Button>
            ) : (
              <Badge tone="bad">revoked</Badge>
            )}
          </li>
        ))}
      </ul>
      {isMaking && <NewKey isFirst={keys.length === 0} onClose={() => setMaking(false)} />}
      {ending && <Revoke apiKey={ending} onClose={() => setEnding(null)} />}
    </Section>
  )
}

const LIFETIMES = { '': 'never', '30': 'in 30 days', '90': 'in 90 days', '365': 'in a year' }
const SCOPES = { intake: 'Send tickets', read: 'Read', write: 'Change tickets', admin: 'Everything, and keys' } as const
type Scope = keyof typeof SCOPES

function NewKey({ isFirst, onClose }: { isFirst: boolean; onClose: () => void }) {
  const client = useQueryClient()
  const session = useQuery(sessionQuery)
  const isOpen = session.data?.open === true
  const [name, setName] = useState('')
  const [scopes, setScopes] = useState<Scope[]>(isFirst && isOpen ? ['admin'] : ['intake'])
  const [days, setDays] = useState('')
  const make = useMutation({
    mutationFn: () => {
      const expires = days === '' ? {} : { expires_at: new Date(Date.now() + Number(days) * 86_400_000).toISOString() }
      return api<Key & { secret: string }>('/api/keys', {
        method: 'POST',
        body: { name: name.trim(), scopes, ...expires },
      })
    },
    onSuccess: async ({ secret }) => {
      // With the first key the server closes: who made it goes on as its administrator, or is led to the sign-in page.
      if (isOpen && scopes.includes('admin')) client.setQueryData(sessionQuery.queryKey, await signIn(secret))
      void client.invalidateQueries({ queryKey: ['keys'] })
    },
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    make.mutate()
  }
  const toggle = (scope: Scope) =>
    setScopes((before) => (before.includes(scope) ? before.filter((one) => one !== scope) : [...before, scope]))
  if (make.data) {
    return (
      <Dialog title="The new key" open onClose={onClose}>
        <div className="flex flex-col gap-3">
          <Copyable label={make.data.name} value={make.data.secret} />
          <p className="text-sm text-warn">Shown this once. Keep it where secrets are kept.</p>
          <Button look="main" className="self-end" onClick={onClose}>
            I have it
          </Button>
        </div>
      </Dialog>
    )
  }
  return (
    <Dialog title="New key" open onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-4">
        <Field label="Name" hint="Whose it is, such as “import from the old helpdesk”.">
          {(wired) => (
            <Input
              {...wired}
              required
              autoFocus
              maxLength={100}
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </Field>
        <fieldset>
          <legend className="mb-1 text-sm font-medium">It may</legend>
          {(Object.keys(SCOPES) as Scope[]).map((scope) => (
            <label key={scope} className="flex items-center gap-2 py-0.5 text-sm">
              <input type="checkbox" checked={scopes.includes(scope)} onChange={() => toggle(scope)} />
              {SCOPES[scope]} <span className="font-mono text-xs text-muted">{scope}</span>
            </label>
          ))}
        </fieldset>
        <Field label="It ends">
          {(wired) => (
            <Select {...wired} value={days} onChange={(event) => setDays(event.target.value)}>
              {Object.entries(LIFETIMES).map(([value, label]) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </Select>
          )}
        </Field>
        {isOpen && !scopes.includes('admin') && (
          <p className="text-sm text-warn">
            With the first key this server asks everybody for one. Make one for yourself first, that may do everything.
          </p>
        )}
        {make.isError && (
          <p role="alert" className="text-sm text-bad">
            {make.error.message}
          </p>
        )}
        <Button type="submit" look="main" className="self-end" disabled={make.isPending || scopes.length === 0}>
          Make the key
        </Button>
      </form>
    </Dialog>
  )
}

function Revoke({ apiKey, onClose }: { apiKey: Key; onClose: () => void }) {
  const client = useQueryClient()
  const revoke = useMutation({
    mutationFn: () => api<Key>(`/api/keys/${encodeURIComponent(apiKey.id)}`, { method: 'DELETE' }),
    onSuccess: () => {
      say({ text: `${apiKey.name} was revoked` })
      onClose()
      void client.invalidateQueries({ queryKey: ['keys'] })
    },
    onError: (error) => say({ text: error.message, tone: 'bad' }),
  })
  return (
    <Dialog title={`Revoke ${apiKey.name}?`} open onClose={onClose}>
      <p className="text-sm">
        Whoever uses it is refused within a second, and sessions that were opened with it end. It cannot be undone.
      </p>
      <div className="mt-4 flex justify-end gap-2">
        <Button onClick={onClose}>Keep it</Button>
        <Button look="danger" disabled={revoke.isPending} onClick={() => revoke.mutate()}>
          Revoke the key
        </Button>
      </div>
    </Dialog>
  )
}
