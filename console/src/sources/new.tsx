import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'

import { api, ApiError } from '../api/client.ts'
import { type NewSource, platformsQuery } from '../api/operations.ts'
import { sessionQuery, signIn } from '../api/session.ts'
import { Button, buttonClass } from '../parts/button.tsx'
import { Field, Input, Select } from '../parts/field.tsx'
import { Page } from '../parts/page.tsx'
import { Failed, Loading } from '../parts/state.tsx'
import { FEATURED, guideOf } from './guides.ts'
import { Copyable, Setup } from './setup.tsx'

/** A new source, from which platform it is to the first delivery. */
export function NewSourcePage() {
  const [platform, setPlatform] = useState<string | null>(null)
  const [made, setMade] = useState<NewSource | null>(null)
  return (
    <Page
      title="New source"
      actions={
        <Link to="/sources" className={buttonClass()}>
          {made === null ? 'Cancel' : 'All sources'}
        </Link>
      }
    >
      <div className="mx-auto flex max-w-2xl flex-col gap-6 px-4 py-6">
        {made === null ? (
          <>
            <Choice platform={platform} choose={setPlatform} />
            {platform !== null && <Name key={platform} platform={platform} onMade={setMade} />}
          </>
        ) : (
          <Made made={made} />
        )}
      </div>
    </Page>
  )
}

function Choice({ platform, choose }: { platform: string | null; choose: (platform: string) => void }) {
  const found = useQuery(platformsQuery)
  if (found.isPending) return <Loading rows={4} />
  if (found.isError) return <Failed error={found.error} retry={() => void found.refetch()} />
  const { platforms } = found.data
  const labelOf = (id: string) => (id === 'flat' ? 'Home-made' : (platforms.find((one) => one.id === id)?.label ?? id))
  const others = platforms.filter(({ id }) => !FEATURED.some((one) => one === id))
  const isOther = platform !== null && others.some(({ id }) => id === platform)
  return (
    <fieldset>
      <legend className="mb-2 font-semibold">Where do the tickets come from?</legend>
      <div className="grid grid-cols-2 gap-2 sm:grid-cols-3">
        {FEATURED.map((id) => (
          <label
            key={id}
            className="flex h-14 cursor-pointer items-center gap-2 rounded-lg border border-line bg-pane px-3 has-checked:border-accent has-checked:bg-accent-soft has-focus-visible:outline-2 has-focus-visible:outline-accent"
          >
            <input type="radio" name="platform" checked={platform === id} onChange={() => choose(id)} />
            {labelOf(id)}
          </label>
        ))}
        <Select
          aria-label="Another platform"
          className="[&>select]:h-14 [&>select]:rounded-lg"
          value={isOther ? platform : ''}
          onChange={(event) => event.target.value !== '' && choose(event.target.value)}
        >
          <option value="">Another…</option>
          {others.map(({ id, label }) => (
            <option key={id} value={id}>
              {label}
            </option>
          ))}
        </Select>
      </div>
    </fieldset>
  )
}

const slug = (name: string) =>
  name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 50)

function Name({ platform, onMade }: { platform: string; onMade: (made: NewSource) => void }) {
  const client = useQueryClient()
  const [name, setName] = useState('')
  const [id, setId] = useState<string | null>(null)
  const guide = guideOf(platform)
  const create = useMutation({
    mutationFn: () => {
      const body = {
        id: id ?? slug(name),
        name: name.trim(),
        platform,
        auth: guide.auth,
        ...(guide.scheme && { scheme: guide.scheme }),
      }
      return api<NewSource>('/api/sources', { method: 'POST', body })
    },
    onSuccess: async (made) => {
      // The first source closes an open server: whoever made it goes on as its administrator.
      if (made.admin_key !== undefined) {
        client.setQueryData(sessionQuery.queryKey, await signIn(made.admin_key))
      }
      onMade(made)
      void client.invalidateQueries({ queryKey: ['sources'] })
    },
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    create.mutate()
  }
  const fault = create.error instanceof ApiError ? create.error : null
  const faultOf = (field: string) =>
    fault?.errors.find((one) => one.field === field)?.message ??
    (fault?.message.startsWith(`${field}:`) ? fault.message : null)
  return (
    <form onSubmit={submit} className="flex flex-col gap-4 rounded-xl border border-line bg-pane p-5">
      <Field label="Name" hint="What people call it, such as “Zendesk Europe”." error={faultOf('name')}>
        {(wired) => (
          <Input
            {...wired}
            autoFocus
            required
            maxLength={100}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <Field
        label="Id"
        hint="Part of its address: lower-case letters, digits and hyphens. It cannot be changed later."
        error={faultOf('id')}
      >
        {(wired) => (
          <Input
            {...wired}
            required
            maxLength={50}
            spellCheck={false}
            className="font-mono"
            value={id ?? slug(name)}
            onChange={(event) => setId(event.target.value)}
          />
        )}
      </Field>
      {create.isError && (
        <p role="alert" className="text-sm text-bad">
          {create.error.message}
        </p>
      )}
      <Button type="submit" look="main" className="self-end" disabled={create.isPending || (id ?? slug(name)) === ''}>
        {create.isPending ? 'Creating…' : 'Create'}
      </Button>
    </form>
  )
}

function Made({ made }: { made: NewSource }) {
  const guide = guideOf(made.platform)
  return (
    <>
      {made.admin_key !== undefined && (
        <section className="flex flex-col gap-2 rounded-xl border border-line bg-warn-soft p-5">
          <h2 className="font-semibold">This server asks for a key from now on</h2>
          <p className="text-sm">
            It was open to this machine until it had a source. You are signed in with this key, which may do everything.
            Keep it: it is shown this once.
          </p>
          <Copyable label="Admin key" value={made.admin_key} />
        </section>
      )}
      <section className="flex flex-col gap-4 rounded-xl border border-line bg-pane p-5">
        <h2 className="text-lg font-semibold">Set up {made.name}</h2>
        <Setup source={made} secret={guide.secretFrom === 'sender' ? null : made.secret} />
      </section>
      <Link to="/sources/$sourceId" params={{ sourceId: made.id }} className={`self-end ${buttonClass('main')}`}>
        Done
      </Link>
    </>
  )
}
