import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'

import { api } from '../api/client.ts'
import { platformsQuery, type Source } from '../api/operations.ts'
import { Button } from '../parts/button.tsx'
import { Field, Input, inputClass, Select } from '../parts/field.tsx'
import { say } from '../parts/toast.tsx'

const AUTHS = { signature: 'its signature or token', key: 'an API key', network: 'its address alone' } as const

/** Its name, what it has to show, and what it is limited to. */
export function SourceSettingsForm({ source }: { source: Source }) {
  const client = useQueryClient()
  const platforms = useQuery(platformsQuery)
  const [name, setName] = useState(source.name)
  const [auth, setAuth] = useState<string>(source.auth)
  const [scheme, setScheme] = useState(source.scheme ?? '')
  const [rate, setRate] = useState(source.rate === null ? '' : String(source.rate))
  const [networks, setNetworks] = useState(source.networks.join('\n'))
  const schemes = platforms.data?.platforms.find(({ id }) => id === (source.platform ?? 'flat'))?.verification ?? []
  const save = useMutation({
    mutationFn: () => {
      const body = {
        name: name.trim(),
        auth,
        scheme: scheme === '' ? null : scheme,
        rate: rate === '' ? null : Number(rate),
        networks: networks.split(/[\s,]+/).filter(Boolean),
      }
      return api<Source>(`/api/sources/${source.id}`, { method: 'PATCH', body })
    },
    onSuccess: () => {
      say({ text: 'Saved' })
      void client.invalidateQueries({ queryKey: ['sources'] })
    },
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    save.mutate()
  }
  return (
    <form onSubmit={submit} className="grid gap-4 md:grid-cols-2">
      <Field label="Name">
        {(wired) => (
          <Input {...wired} required maxLength={100} value={name} onChange={(event) => setName(event.target.value)} />
        )}
      </Field>
      <Field label="Requests a minute" hint="Empty is no limit of its own.">
        {(wired) => (
          <Input {...wired} type="number" min={1} value={rate} onChange={(event) => setRate(event.target.value)} />
        )}
      </Field>
      <Field label="It has to show">
        {(wired) => (
          <Select {...wired} value={auth} onChange={(event) => setAuth(event.target.value)}>
            {Object.entries(AUTHS).map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </Select>
        )}
      </Field>
      {auth === 'signature' && (
        <Field label="How it is signed">
          {(wired) => (
            <Select {...wired} value={scheme} onChange={(event) => setScheme(event.target.value)}>
              <option value="">The usual way{schemes[0] && ` (${schemes[0]})`}</option>
              {schemes.map((one) => (
                <option key={one}>{one}</option>
              ))}
            </Select>
          )}
        </Field>
      )}
      <div className="md:col-span-2">
        <Field label="Networks it may send from" hint="One a line, such as 192.0.2.0/24. Empty is anywhere.">
          {(wired) => (
            <textarea
              {...wired}
              rows={3}
              spellCheck={false}
              className={`${inputClass} h-auto! py-1.5 font-mono`}
              value={networks}
              onChange={(event) => setNetworks(event.target.value)}
            />
          )}
        </Field>
      </div>
      <div className="flex items-center justify-end gap-3 md:col-span-2">
        {save.isError && (
          <p role="alert" className="min-w-0 flex-1 text-sm text-bad">
            {save.error.message}
          </p>
        )}
        <Button type="submit" disabled={save.isPending}>
          {save.isPending ? 'Saving…' : 'Save'}
        </Button>
      </div>
    </form>
  )
}
