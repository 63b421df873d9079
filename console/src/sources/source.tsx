import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router'
import { type ReactNode, useState } from 'react'

import { api, ApiError } from '../api/client.ts'
import { type NewSource, type Source, sourceQuery } from '../api/operations.ts'
import { milliseconds } from '../deliveries/words.ts'
import { Badge } from '../parts/badge.tsx'
import { Button, buttonClass } from '../parts/button.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { Field, Input } from '../parts/field.tsx'
import { Page } from '../parts/page.tsx'
import { Section } from '../parts/section.tsx'
import { Empty, Failed, Loading } from '../parts/state.tsx'
import { Time } from '../parts/time.tsx'
import { say } from '../parts/toast.tsx'
import { Refused, Silence, useHealth, useSourceNews } from './health.tsx'
import { Copyable, Setup, useAddress } from './setup.tsx'
import { SourceSettingsForm } from './settings-form.tsx'
import { TryButton } from './try.tsx'

const route = getRouteApi('/shell/sources/$sourceId')

/** One source: how it is doing, how it is set up, what it is limited to. */
export function SourcePage() {
  const { sourceId } = route.useParams()
  const found = useQuery(sourceQuery(sourceId))
  useSourceNews(found.data === undefined ? [] : [found.data])
  const isMissing = found.error instanceof ApiError && found.error.status === 404
  return (
    <Page
      title={found.data?.name ?? sourceId}
      actions={
        <>
          <Link to="/sources" className={`${buttonClass('quiet')} max-sm:hidden!`}>
            All sources
          </Link>
          <Link to="/deliveries" search={{ source: sourceId }} className={buttonClass()}>
            Deliveries
          </Link>
          <Link to="/sources/$sourceId/mapping" params={{ sourceId }} search={{}} className={buttonClass('main')}>
            Mapping
          </Link>
        </>
      }
    >
      {found.isPending && <Loading />}
      {found.isError && !isMissing && <Failed error={found.error} retry={() => void found.refetch()} />}
      {isMissing && (
        <Empty icon="search" title={`There is no source ${sourceId}`}>
          It may have been deleted.
        </Empty>
      )}
      {found.data && <Whole key={sourceId} source={found.data} />}
    </Page>
  )
}

function Whole({ source }: { source: Source }) {
  const address = useAddress(source.url)
  const health = useHealth(source.id)
  const [asked, setAsked] = useState<boolean | null>(null)
  // Who was never heard of is still to be set up.
  const isSettingUp = asked ?? health.last === null
  if (!health.isKnown) return <Loading />
  return (
    <div className="mx-auto flex max-w-3xl flex-col gap-4 px-4 py-6">
      <Health source={source} />
      <Section title="Address" action={<TryButton source={source} />}>
        <Copyable label="Where it sends" value={address} />
        <Button
          look="quiet"
          size="sm"
          className="self-start"
          aria-expanded={isSettingUp}
          onClick={() => setAsked(!isSettingUp)}
        >
          {isSettingUp ? 'Hide how to set it up' : 'How to set it up'}
        </Button>
        {isSettingUp && <Setup source={source} secret={null} />}
      </Section>
      {source.auth === 'signature' && <Secrets source={source} />}
      <Section title="Settings">
        <SourceSettingsForm key={source.updated_at} source={source} />
      </Section>
      <Ending source={source} />
    </div>
  )
}

function Health({ source }: { source: Source }) {
  const { last, day } = useHealth(source.id)
  return (
    <dl className="grid grid-cols-2 gap-px overflow-hidden rounded-xl border border-line bg-line md:grid-cols-4">
      <Figure name="Last seen">
        <span className="mr-2">{last === null ? 'never' : <Time at={last.received_at} />}</span>
        <Silence source={source} last={last} />
      </Figure>
      <Figure name="In 24 hours">
        {day?.count ?? '–'}
        {day && <span className="ml-2 text-xs text-muted">{day.before} the day before</span>}
      </Figure>
      <Figure name="Refused">
        <Refused day={day} />
      </Figure>
      <Figure name="Last answer">
        {last === null ? '–' : `${last.status} in ${milliseconds(last.duration_ms)}`}
        {source.disabled_at !== null && (
          <span className="ml-2">
            <Badge tone="warn">disabled</Badge>
          </span>
        )}
      </Figure>
    </dl>
  )
}

const Figure = ({ name, children }: { name: string; children: ReactNode }) => (
  <div className="bg-pane px-4 py-3">
    <dt className="text-xs text-muted">{name}</dt>
    <dd className="font-medium">{children}</dd>
  </div>
)

function Secrets({ source }: { source: Source }) {
  const client = useQueryClient()
  const [shown, setShown] = useState<string | null>(null)
  const [hours, setHours] = useState('24')
  const [own, setOwn] = useState('')
  const [isAsking, setAsking] = useState(false)
  const rotate = useMutation({
    mutationFn: () =>
      api<NewSource>(`/api/sources/${source.id}/rotate`, {
        method: 'POST',
        body: { overlap_hours: Number(hours) || 0, ...(own.trim() && { secret: own.trim() }) },
      }),
    onSuccess: ({ secret }) => {
      setShown(secret)
      setOwn('')
      setAsking(false)
      if (secret === null) say({ text: 'The secret counts from now on' })
      void client.invalidateQueries({ queryKey: ['sources'] })
    },
    onError: (error) => say({ text: error.message, tone: 'bad' }),
  })
  return (
    <Section title="Secrets" action={<Button onClick={() => setAsking(true)}>Rotate…</Button>}>
      <ul className="flex flex-col text-sm">
        {source.secrets.map((one) => (
          <li key={one.id} className="flex flex-wrap items-center gap-2 py-1">
            <code className="font-mono text-xs">{one.id}</code>
            <span className="text-muted">
              made <Time at={one.created_at} />
            </span>
            {one.expires_at === null ? (
              <Badge tone="good">current</Badge>
            ) : (
              <Badge tone="warn">
                counts until <Time at={one.expires_at} />
              </Badge>
            )}
          </li>
        ))}
        {source.secrets.length === 0 && <li className="text-muted">It has no secret yet.</li>}
      </ul>
      {shown !== null && (
        <div className="flex flex-col gap-1">
          <Copyable label="New secret" value={shown} />
          <p className="text-sm text-warn">Shown this once. Give it to the sender before the old one stops to count.</p>
        </div>
      )}
      <Dialog title="A new secret" open={isAsking} onClose={() => setAsking(false)}>
        <form
          className="flex flex-col gap-4"
          onSubmit={(event) => {
            event.preventDefault()
            rotate.mutate()
          }}
        >
          <Field
            label="The old one goes on to count for so many hours"
            hint="0 ends it at once, as when it became known to others."
          >
            {(wired) => (
              <Input
                {...wired}
                type="number"
                min={0}
                max={720}
                required
                value={hours}
                onChange={(event) => setHours(event.target.value)}
              />
            )}
          </Field>
          <Field
            label="The sender’s own secret"
            hint="Where the sender makes it. Empty makes one here, and shows it once."
          >
            {(wired) => (
              <Input
                {...wired}
                type="password"
                autoComplete="off"
                className="font-mono"
                value={own}
                onChange={(event) => setOwn(event.target.value)}
              />
            )}
          </Field>
          <Button type="submit" look="main" className="self-end" disabled={rotate.isPending}>
            {own.trim() === '' ? 'Make a new secret' : 'Set the secret'}
          </Button>
        </form>
      </Dialog>
    </Section>
  )
}

const onError = (error: Error) => say({ text: error.message, tone: 'bad' })

function Ending({ source }: { source: Source }) {
  const client = useQueryClient()
  const navigate = useNavigate()
  const [isAsking, setAsking] = useState(false)
  const isDisabled = source.disabled_at !== null
  const toggle = useMutation({
    mutationFn: () => api<Source>(`/api/sources/${source.id}`, { method: 'PATCH', body: { disabled: !isDisabled } }),
    onSuccess: () => client.invalidateQueries({ queryKey: ['sources'] }),
    onError,
  })
  const remove = useMutation({
    mutationFn: () => api<null>(`/api/sources/${source.id}`, { method: 'DELETE' }),
    onSuccess: async () => {
      await navigate({ to: '/sources' })
      client.removeQueries({ queryKey: ['sources', source.id] })
      void client.invalidateQueries({ queryKey: ['sources'] })
    },
    onError,
  })
  return (
    <div className="flex flex-wrap justify-end gap-2">
      <Button disabled={toggle.isPending} onClick={() => toggle.mutate()}>
        {isDisabled ? 'Take its deliveries again' : 'Disable'}
      </Button>
      <Button look="danger" onClick={() => setAsking(true)}>
        Delete…
      </Button>
      <Dialog title={`Delete ${source.name}?`} open={isAsking} onClose={() => setAsking(false)}>
        <p className="text-sm">
          Its deliveries are answered with 404 from then on. What it sent so far stays, and so do its tickets.
        </p>
        <div className="mt-4 flex justify-end gap-2">
          <Button onClick={() => setAsking(false)}>Keep it</Button>
          <Button look="danger" disabled={remove.isPending} onClick={() => remove.mutate()}>
            Delete the source
          </Button>
        </div>
      </Dialog>
    </div>
  )
}
