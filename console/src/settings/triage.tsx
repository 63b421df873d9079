import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'

import { api, ApiError } from '../api/client.ts'
import { Button } from '../parts/button.tsx'
import { Field, Input, Select } from '../parts/field.tsx'
import { Section } from '../parts/section.tsx'
import { Failed } from '../parts/state.tsx'
import { say } from '../parts/toast.tsx'

type Mode = 'off' | 'suggest' | 'set'
type Category = { name: string; description: string; keywords: string[] }
type Settings = { category: Mode; priority: Mode; precision: number; categories: Category[] | null }
type State = {
  settings: Settings
  categories: Category[]
  embedder: string | null
  advisor: string | null
  learned: Record<string, number>
  notes: string[]
}

const KEY = ['triage', 'settings']
const MODES: Record<Mode, string> = { off: 'Off', suggest: 'Suggest', set: 'Set where it is sure' }

/** What triage may do, and what it stands on; nothing where it is not on. */
export function TriageSettings() {
  const found = useQuery({
    queryKey: KEY,
    queryFn: async ({ signal }) => {
      try {
        return await api<State>('/api/triage', { signal })
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return null
        throw error
      }
    },
    retry: false,
  })
  if (found.isError) return <Failed error={found.error} retry={() => void found.refetch()} />
  if (!found.data) return null
  const { settings, categories, embedder, advisor, learned, notes } = found.data
  return (
    <Section
      title="Triage"
      about="Suggestions are on the ticket. It sets a field only where neither the sender nor a person said anything."
    >
      <Form key={JSON.stringify(settings)} settings={settings} />
      <dl className="text-sm">
        <Row
          name="Learned from"
          value={`${learned['category'] ?? 0} categories, ${learned['priority'] ?? 0} priorities`}
        />
        <Row name="Vectors by" value={embedder ?? 'none: words alone'} />
        <Row name="Language model" value={advisor ?? 'none'} />
        <Row name="Categories" value={categories.map(({ name }) => name).join(', ')} />
      </dl>
      {notes.map((note) => (
        <p key={note} className="text-sm text-bad wrap-anywhere">
          {note}
        </p>
      ))}
    </Section>
  )
}

function Row({ name, value }: { name: string; value: string }) {
  return (
    <div className="flex justify-between gap-4 border-t border-line py-1.5">
      <dt className="shrink-0 text-muted">{name}</dt>
      <dd className="text-right wrap-anywhere">{value}</dd>
    </div>
  )
}

function Form({ settings }: { settings: Settings }) {
  const client = useQueryClient()
  const [draft, setDraft] = useState(settings)
  const save = useMutation({
    mutationFn: () => api<State>('/api/triage', { method: 'PUT', body: draft }),
    onSuccess: (state) => {
      client.setQueryData(KEY, state)
      say({ text: 'Triage is set' })
    },
    onError: (error) => say({ text: error.message, tone: 'bad' }),
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    save.mutate()
  }
  const mode = (field: 'category' | 'priority', label: string) => (
    <Field label={label}>
      {(wired) => (
        <Select
          {...wired}
          value={draft[field]}
          onChange={({ target }) => setDraft({ ...draft, [field]: target.value as Mode })}
        >
          {Object.entries(MODES).map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </Select>
      )}
    </Field>
  )
  return (
    <form onSubmit={submit} className="grid gap-3 sm:grid-cols-[1fr_1fr_1fr_auto] sm:items-end">
      {mode('category', 'Category')}
      {mode('priority', 'Priority')}
      <Field label="Right, of what it is sure of (%)">
        {(wired) => (
          <Input
            {...wired}
            type="number"
            min={50}
            max={99.9}
            step={0.1}
            required
            value={Math.round(draft.precision * 1000) / 10}
            onChange={({ target }) => setDraft({ ...draft, precision: target.valueAsNumber / 100 })}
          />
        )}
      </Field>
      <Button type="submit" disabled={save.isPending}>
        Save
      </Button>
    </form>
  )
}
