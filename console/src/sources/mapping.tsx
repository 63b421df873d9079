import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useEffect, useRef, useState } from 'react'

import { api, ApiError, query } from '../api/client.ts'
import { type DeliveryPage, type Examined, type FieldMap, type Source, sourceQuery } from '../api/operations.ts'
import { JsonView } from '../deliveries/json-view.tsx'
import { TicketPreview } from '../deliveries/mapped.tsx'
import { buttonClass } from '../parts/button.tsx'
import { inputClass, Select } from '../parts/field.tsx'
import { Page } from '../parts/page.tsx'
import { Empty, Failed, Loading } from '../parts/state.tsx'
import { Rewind } from './rewind.tsx'

const route = getRouteApi('/shell/sources/$sourceId/mapping')

const FIELDS = [
  'title',
  'description',
  'category',
  'priority',
  'status',
  'user_id',
  'user_email',
  'external_id',
  'account',
  'updated_at',
  'metadata',
] as const
type FieldName = (typeof FIELDS)[number]

const PAUSE_MS = 300

/** Payload left, expressions in the middle, the ticket right; each change is seen at once, and nothing is set until it is saved. */
export function MappingPage() {
  const { sourceId } = route.useParams()
  const source = useQuery(sourceQuery(sourceId))
  const isMissing = source.error instanceof ApiError && source.error.status === 404
  if (source.data) return <Editor key={sourceId} source={source.data} />
  return (
    <Page title="Mapping">
      {source.isPending && <Loading />}
      {source.isError && !isMissing && <Failed error={source.error} retry={() => void source.refetch()} />}
      {isMissing && <Empty icon="search" title={`There is no source ${sourceId}`} />}
    </Page>
  )
}

const set = (map: FieldMap): FieldMap =>
  Object.fromEntries(Object.entries(map).filter(([, expression]) => expression.trim() !== ''))

function Editor({ source }: { source: Source }) {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const [map, setMap] = useState<FieldMap>(source.field_map)
  const [sample, setSample] = useState<string | null>(null)
  const focused = useRef<FieldName>('title')
  const deliveries = useQuery({
    queryKey: ['deliveries', 'of', source.id],
    queryFn: ({ signal }) => api<DeliveryPage>(`/api/deliveries${query({ source: source.id, limit: 50 })}`, { signal }),
  })
  const newest = deliveries.data?.deliveries.find(({ body_size: size }) => size > 0)?.id
  const chosen = search.delivery === undefined ? newest : Number(search.delivery)
  const tried = useTried(source.id, { map: set(map), delivery: sample === null ? chosen : undefined, sample })
  const payload = usePayload(tried)

  const insert = (pointer: string) => {
    const field = focused.current
    const path = pathOf(pointer)
    setMap((before) => ({ ...before, [field]: before[field]?.trim() ? `${before[field]} & ${path}` : path }))
  }
  const isChanged = JSON.stringify(set(map)) !== JSON.stringify(set(source.field_map))
  const faults = tried.error instanceof ApiError ? tried.error : null

  return (
    <Page
      title={`Mapping of ${source.name}`}
      actions={
        <>
          <Link to="/sources/$sourceId" params={{ sourceId: source.id }} className={buttonClass('quiet')}>
            The source
          </Link>
          <Rewind source={source} map={set(map)} isChanged={isChanged} isFaulty={faults !== null} />
        </>
      }
    >
      <div className="grid min-h-full gap-px bg-line lg:grid-cols-3">
        <section aria-label="Payload" className="flex min-w-0 flex-col bg-pane">
          <div className="flex items-center gap-2 border-b border-line px-4 py-2">
            <h2 className="text-sm font-semibold">Payload</h2>
            <Select
              aria-label="Delivery to try it on"
              className="ml-auto w-52"
              value={sample === null ? String(chosen ?? '') : 'own'}
              onChange={({ target: { value } }) => {
                setSample(value === 'own' ? SAMPLE : null)
                if (value !== 'own') void navigate({ search: { delivery: value }, replace: true })
              }}
            >
              {deliveries.data?.deliveries.map(({ id, outcome }) => (
                <option key={id} value={id}>
                  Delivery {id}, {outcome}
                </option>
              ))}
              {chosen !== undefined && !deliveries.data?.deliveries.some(({ id }) => id === chosen) && (
                <option value={chosen}>Delivery {chosen}</option>
              )}
              {chosen === undefined && <option value="">No delivery yet</option>}
              <option value="own">My own JSON</option>
            </Select>
          </div>
          {sample !== null && (
            <textarea
              aria-label="JSON to try it on"
              spellCheck={false}
              rows={10}
              value={sample}
              onChange={(event) => setSample(event.target.value)}
              className="w-full border-b border-line bg-pane p-3 font-mono text-xs"
            />
          )}
          <p className="px-4 pt-2 text-xs text-muted">Choose a value to put it into the field that you were in.</p>
          <div className="max-lg:h-80 max-lg:overflow-auto">
            {payload !== null && (
              <JsonView value={payload} marks={tried.data ? marksOf(tried.data) : {}} onChoose={insert} />
            )}
            {(deliveries.isPending || (tried.isPending && chosen !== undefined)) && <Loading />}
            {chosen === undefined && sample === null && !deliveries.isPending && (
              <Empty title="Nothing to try it on yet">Send a test from the source, or choose “My own JSON”.</Empty>
            )}
          </div>
        </section>
        <section aria-label="Expressions" className="flex min-w-0 flex-col gap-3 bg-pane p-4">
          <div>
            <h2 className="text-sm font-semibold">Expressions</h2>
            <p className="text-xs text-muted">
              <a href="https://docs.jsonata.org/simple" target="_blank" rel="noreferrer" className="underline">
                JSONata
              </a>
              , over what the platform’s own mapping makes of it. Empty leaves that as it is.
            </p>
          </div>
          {FIELDS.map((field) => (
            <Expression
              key={field}
              field={field}
              value={map[field] ?? ''}
              fault={faultOf(faults, field)}
              onFocus={() => (focused.current = field)}
              onChange={(value) => setMap((before) => ({ ...before, [field]: value }))}
            />
          ))}
        </section>
        <section aria-label="Ticket" className="min-w-0 bg-pane">
          <h2 className="border-b border-line px-4 py-2.5 text-sm font-semibold">Ticket</h2>
          <p role="status" className="sr-only">
            {tried.isFetching
              ? ''
              : tried.data?.refused === null
                ? 'The ticket is shown anew'
                : (tried.data?.refused ?? '')}
          </p>
          {faults && <p className="m-4 rounded-md bg-bad-soft p-3 text-sm text-bad">{faults.message}</p>}
          {tried.data && <TicketPreview examined={tried.data} />}
        </section>
      </div>
    </Page>
  )
}

const SAMPLE = '{\n  "title": "Printer on fire",\n  "description": "Since nine."\n}'

/** What the map makes of the delivery, a moment after it was last changed. */
function useTried(id: string, asked: { map: FieldMap; delivery: number | undefined; sample: string | null }) {
  const { delivery, sample } = asked
  const text = JSON.stringify({ map: asked.map, sample })
  const [settled, setSettled] = useState(text)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), PAUSE_MS)
    return () => clearTimeout(timer)
  }, [text])
  const { map, sample: body } = JSON.parse(settled) as { map: FieldMap; sample: string | null }
  return useQuery({
    queryKey: ['sources', id, 'tried', settled, delivery ?? 'own'],
    queryFn: ({ signal }) =>
      api<Examined>(`/api/sources/${encodeURIComponent(id)}/preview`, {
        method: 'POST',
        body: body === null ? { field_map: map, delivery_id: delivery } : { field_map: map, body },
        signal,
      }),
    enabled: delivery !== undefined || body !== null,
    placeholderData: keepPreviousData,
    retry: false,
  })
}

/** The last one that was read: an expression with a fault is no reason to take the payload away. */
function usePayload({ data }: ReturnType<typeof useTried>): unknown {
  const last = useRef<unknown>(null)
  useEffect(() => {
    if (data !== undefined) last.current = data.payload
  }, [data])
  return data === undefined ? last.current : data.payload
}

function Expression({
  field,
  value,
  fault,
  onFocus,
  onChange,
}: {
  field: FieldName
  value: string
  fault: string | null
  onFocus: () => void
  onChange: (value: string) => void
}) {
  const id = `map-${field}`
  return (
    <div className="grid grid-cols-[6rem_minmax(0,1fr)] items-start gap-2">
      <label htmlFor={id} className="pt-1.5 text-sm text-muted">
        {field}
      </label>
      <div>
        <textarea
          id={id}
          rows={Math.min(6, Math.max(1, value.split('\n').length))}
          spellCheck={false}
          maxLength={4000}
          value={value}
          aria-invalid={fault !== null || undefined}
          aria-describedby={fault === null ? undefined : `${id}-fault`}
          onFocus={onFocus}
          onChange={(event) => onChange(event.target.value)}
          className={`${inputClass} h-auto! min-h-8 py-1.5 font-mono text-xs!`}
        />
        {fault !== null && (
          <p id={`${id}-fault`} className="text-xs text-bad">
            {fault}
          </p>
        )}
      </div>
    </div>
  )
}

function faultOf(faults: ApiError | null, field: FieldName): string | null {
  if (faults === null) return null
  const named = faults.errors.find((one) => one.field.endsWith(field))
  const own = `Field map: ${field}: `
  return named?.message ?? (faults.message.startsWith(own) ? faults.message.slice(own.length) : null)
}

function marksOf({ origins }: Examined): Record<string, string[]> {
  const marks: Record<string, string[]> = {}
  for (const [field, pointers] of Object.entries(origins)) {
    if (field === 'kind') continue
    for (const pointer of pointers) (marks[pointer] ??= []).push(field.replace('ticket_metadata.', ''))
  }
  return marks
}

/** A JSON pointer as JSONata says it: `detail.subject`, `items[0].name`. */
function pathOf(pointer: string): string {
  const steps = pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
  let path = ''
  for (const step of steps) {
    if (/^\d+$/.test(step) && path !== '') path += `[${step}]`
    else path += `${path === '' ? '' : '.'}${/^[A-Za-z_]\w*$/.test(step) ? step : `\`${step.replaceAll('`', '')}\``}`
  }
  return path
}
