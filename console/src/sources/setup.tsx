import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'

import { api } from '../api/client.ts'
import { useLiveEvents } from '../api/events.ts'
import { type Delivery, lastSeenQuery, type NewSource, type Source } from '../api/operations.ts'
import { aboutQuery } from '../api/session.ts'
import { Button } from '../parts/button.tsx'
import { Copy } from '../parts/copy.tsx'
import { Field, Input } from '../parts/field.tsx'
import { Icon } from '../parts/icon.tsx'
import { say } from '../parts/toast.tsx'
import { TryButton } from './try.tsx'
import { guideOf } from './guides.ts'

/** The whole address, as the sender has to call it. */
export function useAddress(path: string): string {
  const about = useQuery(aboutQuery)
  return `${about.data?.public_url ?? location.origin}${path}`
}

/** What to click at the sender, with the address and, while it is known, the secret to copy. */
export function Setup({ source, secret }: { source: Source; secret: string | null }) {
  const guide = guideOf(source.platform)
  const address = useAddress(source.url)
  const filled = (text: string) => text.replaceAll('{url}', address).replaceAll('{secret}', secret ?? '<the secret>')
  const isSigned = source.auth === 'signature'
  return (
    <div className="flex flex-col gap-4">
      <ol className="flex list-decimal flex-col gap-1.5 pl-5 text-sm">
        {guide.steps.map((step) => (
          <li key={step}>{step}</li>
        ))}
      </ol>
      <Copyable label="Address" value={address} />
      {secret !== null && (
        <div className="flex flex-col gap-1">
          <Copyable label="Secret" value={secret} />
          <p className="text-sm text-warn">Shown this once: it is kept sealed, and nobody can read it again.</p>
        </div>
      )}
      {isSigned && guide.secretFrom === 'sender' && <SenderSecret source={source} />}
      {guide.snippet && (
        <div>
          <div className="flex items-center justify-between">
            <h3 className="text-sm font-medium">{guide.snippet.label}</h3>
            <Copy text={filled(guide.snippet.text)} what={guide.snippet.label.toLowerCase()} label="Copy" />
          </div>
          <pre
            tabIndex={0}
            className="max-h-72 overflow-auto rounded-md border border-line bg-raised p-3 font-mono text-xs"
          >
            {filled(guide.snippet.text)}
          </pre>
        </div>
      )}
      {guide.note && <p className="text-sm text-muted">{guide.note}</p>}
      <Awaited source={source} />
    </div>
  )
}

export function Copyable({ label, value }: { label: string; value: string }) {
  return (
    <div className="flex flex-col gap-1">
      <span className="text-sm font-medium">{label}</span>
      <div className="flex items-center gap-1 rounded-md border border-line bg-raised py-0.5 pr-0.5 pl-2.5">
        <code className="min-w-0 flex-1 font-mono text-xs wrap-anywhere">{value}</code>
        <Copy text={value} what={label.toLowerCase()} label="Copy" />
      </div>
    </div>
  )
}

/** For senders that make the secret themselves. */
function SenderSecret({ source }: { source: Source }) {
  const client = useQueryClient()
  const [secret, setSecret] = useState('')
  const save = useMutation({
    mutationFn: () =>
      api<NewSource>(`/api/sources/${source.id}/rotate`, {
        method: 'POST',
        body: { secret: secret.trim(), overlap_hours: 0 },
      }),
    onSuccess: () => {
      setSecret('')
      say({ text: 'The secret counts from now on' })
      void client.invalidateQueries({ queryKey: ['sources'] })
    },
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (secret.trim() !== '') save.mutate()
  }
  return (
    <form onSubmit={submit} className="flex items-end gap-2">
      <div className="min-w-0 flex-1">
        <Field label="The sender’s signing secret" error={save.error?.message ?? null}>
          {(wired) => (
            <Input
              {...wired}
              type="password"
              autoComplete="off"
              className="font-mono"
              value={secret}
              onChange={(event) => setSecret(event.target.value)}
            />
          )}
        </Field>
      </div>
      <Button type="submit" disabled={secret.trim() === '' || save.isPending}>
        Save
      </Button>
    </form>
  )
}

/** Waits for the first delivery, and shows it the moment it is there. */
function Awaited({ source }: { source: Source }) {
  const client = useQueryClient()
  const last = useQuery(lastSeenQuery(source.id))
  useLiveEvents(({ kind, data }) => {
    if (kind === 'delivery' && (data as Delivery).source === source.id)
      client.setQueryData(lastSeenQuery(source.id).queryKey, data as Delivery)
    if (kind === 'more' || kind === 'ready')
      void client.invalidateQueries({ queryKey: lastSeenQuery(source.id).queryKey })
  })
  const delivery = last.data ?? null
  const isRefused = delivery?.outcome === 'rejected'
  return (
    <div className="flex flex-wrap items-center gap-3 rounded-md border border-line px-3 py-2 text-sm">
      <p role="status" className="flex min-w-0 flex-1 items-center gap-2">
        {delivery === null ? (
          <>
            <span aria-hidden="true" className="size-2 animate-pulse rounded-full bg-accent" />
            Waiting for the first delivery…
          </>
        ) : (
          <>
            <Icon name={isRefused ? 'warn' : 'check'} className={`size-4 ${isRefused ? 'text-bad' : 'text-good'}`} />
            <span className="min-w-0">
              The last delivery was {delivery.outcome}.{' '}
              <Link
                to="/deliveries/$deliveryId"
                params={{ deliveryId: String(delivery.id) }}
                search={{}}
                className="text-accent-strong underline"
              >
                Look at it
              </Link>
            </span>
          </>
        )}
      </p>
      <TryButton source={source} />
    </div>
  )
}
