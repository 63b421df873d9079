import { queryOptions, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'

import { api, ApiError } from '../api/client.ts'
import { Button } from '../parts/button.tsx'
import { counted } from '../parts/counted.ts'
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

/** Null where triage is not on. */
export const triageQuery = queryOptions({
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

/** What triage may do, and what it stands on; nothing where it is not on. */
export function TriageSettings() {
  const found = useQuery(triageQuery)
  if (found.isError) return <Failed error={found.error} retry={() => void found.refetch()} />
  if (!found.data) return null
  const { settings, categories, embedder, advisor, learned, notes } = found.data
  return (
    <Section
      title="Triage"
      about="Suggestions are on the ticket. It sets a field only where neither the sender nor a person said anything."
    >
      <Form key={JSON.stringify(settings)} settings={settings} categories={categories} />
      <dl className="text-sm">
        <Row
          name="Learned from"
          value={`${counted(learned['category'] ?? 0, 'category', 'categories')}, ${counted(learned['priority'] ?? 0, 'priority', 'priorities')}`}
        />
        <Row name="Vectors by" value={embedder ?? 'none: words alone'} />
        <Row name="Language model" value={advisor ?? 'none'} />
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

function Form({ settings, categories }: { settings: Settings; categories: Category[] }) {
  const client = useQueryClient()
  const [draft, setDraft] = useState(settings)
  const save = useMutation({
    mutationFn: () => api<State>('/api/triage', { method: 'PUT', body: sendable(draft) }),
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
    <form onSubmit={submit} className="grid gap-3 sm:grid-cols-3 sm:items-end">
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
      <details className="sm:col-span-3">
        <summary className="cursor-pointer text-sm">
          Categories: {(draft.categories ?? categories).map(({ name }) => name).join(', ')}
        </summary>
        <Categories
          categories={draft.categories ?? categories}
          isShipped={draft.categories === null}
          onChange={(next) => setDraft({ ...draft, categories: next })}
        />
      </details>
      <Button type="submit" className="justify-self-start" disabled={save.isPending}>
        Save
      </Button>
    </form>
  )
}

/** Without the words that are still empty. */
const sendable = (draft: Settings): Settings => ({
  ...draft,
  categories:
    draft.categories?.map(({ name, description, keywords }) => ({
      name,
      description,
      keywords: keywords.flatMap((word) => word.trim() || []),
    })) ?? null,
})

/** The list that tickets are sorted into: what the names mean decides until there are tickets to learn from. */
function Categories({
  categories,
  isShipped,
  onChange,
}: {
  categories: Category[]
  isShipped: boolean
  onChange: (next: Category[] | null) => void
}) {
  const change = (at: number, part: Partial<Category>) =>
    onChange(categories.map((one, index) => (index === at ? Object.assign({}, one, part) : one)))
  return (
    <div className="flex flex-col gap-2 py-2">
      {categories.map(({ name, description, keywords }, at) => (
        // Its place is what it is: names change while they are typed.
        <div key={at} className="grid gap-1 sm:grid-cols-[10rem_1fr_1fr_auto]">
          <Input
            aria-label={`Name of category ${at + 1}`}
            required
            maxLength={100}
            value={name}
            onChange={({ target }) => change(at, { name: target.value })}
          />
          <Input
            aria-label={`What belongs to ${name || 'it'}`}
            maxLength={1000}
            value={description}
            onChange={({ target }) => change(at, { description: target.value })}
          />
          <Input
            aria-label={`Words of ${name || 'it'}, with commas between`}
            value={keywords.join(', ')}
            onChange={({ target }) => change(at, { keywords: target.value.split(/, ?/).slice(0, 100) })}
          />
          <Button
            size="sm"
            look="quiet"
            aria-label={`Remove ${name || 'it'}`}
            onClick={() => onChange(categories.filter((_, index) => index !== at))}
          >
            Remove
          </Button>
        </div>
      ))}
      <div className="flex gap-2">
        <Button size="sm" onClick={() => onChange([...categories, { name: '', description: '', keywords: [] }])}>
          Add a category
        </Button>
        {!isShipped && (
          <Button size="sm" look="quiet" onClick={() => onChange(null)}>
            Back to the shipped list
          </Button>
        )}
      </div>
    </div>
  )
}
