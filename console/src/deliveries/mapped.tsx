import { useState } from 'react'

import type { Examined } from '../api/operations.ts'
import { Badge } from '../parts/badge.tsx'
import { Empty } from '../parts/state.tsx'
import { JsonView } from './json-view.tsx'

const LONG = 400

/** The payload, and beside it the ticket that is made of it: each field shows where it comes from. */
export function Mapped({ examined }: { examined: Examined }) {
  const { payload, origins } = examined
  const [field, setField] = useState<string | null>(null)
  const marks: Record<string, string[]> = {}
  for (const [name, pointers] of Object.entries(origins)) {
    if (name === 'kind') continue
    for (const pointer of pointers) (marks[pointer] ??= []).push(name.replace('ticket_metadata.', ''))
  }
  return (
    <div className="grid min-h-0 gap-px bg-line xl:grid-cols-2">
      <section aria-label="Payload" className="min-w-0 bg-pane">
        <h3 className="border-b border-line px-4 py-2 text-sm font-semibold">Payload</h3>
        {payload === null ? (
          <Empty icon="warn" title="The body cannot be read">
            It is in the raw body, as it came.
          </Empty>
        ) : (
          <JsonView value={payload} marks={marks} lit={field === null ? [] : (origins[field] ?? [])} />
        )}
      </section>
      <section aria-label="Ticket" className="min-w-0 bg-pane">
        <h3 className="border-b border-line px-4 py-2 text-sm font-semibold">Ticket, as it would be made now</h3>
        <TicketPreview examined={examined} field={field} onField={setField} />
      </section>
    </div>
  )
}

export function TicketPreview({
  examined: { preview, refused, origins },
  field,
  onField,
}: {
  examined: Examined
  field?: string | null
  onField?: (field: string | null) => void
}) {
  if (refused !== null || preview === null) {
    return (
      <div role="status" className="m-4 rounded-md bg-bad-soft p-3 text-sm text-bad">
        <p className="font-medium">It would be refused</p>
        <p>{refused}</p>
      </div>
    )
  }
  if ('events' in preview) {
    return (
      <p className="p-4 text-sm text-muted">{preview.events.length} events in one body; each becomes its own ticket.</p>
    )
  }
  const { ticket, kind, reason, unmapped, warnings, comment } = preview
  if (ticket === null) {
    return (
      <p className="p-4 text-sm text-muted">
        No ticket: {kind}
        {reason !== null && ` (${reason})`}
      </p>
    )
  }
  const { ticket_metadata: metadata, ...fields } = ticket
  const told = Object.entries(metadata).filter(([name]) => name !== 'unmapped')
  const rows: [string, string, unknown][] = [
    ...Object.entries(fields).map(([name, value]): [string, string, unknown] => [name, name, value]),
    ...(comment ? [['comment', 'comment', comment.body] as [string, string, unknown]] : []),
    ...told.map(([name, value]): [string, string, unknown] => [`ticket_metadata.${name}`, name, value]),
  ]
  return (
    <div className="text-sm">
      <p className="flex items-center gap-2 px-4 py-2 text-muted">
        {preview.label} {preview.platform !== 'flat' && <Badge>{kind}</Badge>}
      </p>
      <dl>
        {rows.map(([key, name, value]) => (
          <FieldRow
            key={key}
            name={name}
            value={value}
            origins={origins[key] ?? []}
            isLit={field === key}
            onLit={onField && ((isLit) => onField(isLit ? key : null))}
          />
        ))}
      </dl>
      {unmapped.length > 0 && (
        <p className="px-4 py-2 text-xs wrap-anywhere text-muted">
          Kept, with no field of its own: {unmapped.slice(0, 40).join(', ')}
        </p>
      )}
      {warnings.map((warning) => (
        <p key={warning} className="mx-4 my-2 rounded bg-warn-soft px-2 py-1 text-xs text-warn">
          {warning}
        </p>
      ))}
    </div>
  )
}

function FieldRow({
  name,
  value,
  origins,
  isLit,
  onLit,
}: {
  name: string
  value: unknown
  origins: readonly string[]
  isLit: boolean
  onLit?: ((isLit: boolean) => void) | undefined
}) {
  const whole = typeof value === 'string' ? value : JSON.stringify(value)
  const text = whole.length > LONG ? `${whole.slice(0, LONG)}…` : whole
  const isAbsent = value === null || value === undefined
  const from = origins.length === 0 ? null : origins.slice(0, 3).join(', ')
  return (
    <div
      className={`grid grid-cols-[6.5rem_minmax(0,1fr)] gap-3 border-b border-line px-4 py-1.5 ${isLit ? 'bg-accent-soft' : ''}`}
      onPointerEnter={() => onLit?.(true)}
      onPointerLeave={() => onLit?.(false)}
    >
      <dt className="truncate text-muted" title={name}>
        {name}
      </dt>
      <dd className="min-w-0">
        <span className={`wrap-anywhere whitespace-pre-wrap ${isAbsent ? 'text-muted' : ''}`}>
          {isAbsent ? '–' : text}
        </span>
        {from !== null &&
          (onLit ? (
            <button
              type="button"
              className="block text-left font-mono text-xs wrap-anywhere text-accent-strong hover:underline"
              onFocus={() => onLit(true)}
              onBlur={() => onLit(false)}
              onClick={() => showLine(origins[0])}
            >
              from {from}
            </button>
          ) : (
            <span className="block font-mono text-xs wrap-anywhere text-muted">from {from}</span>
          ))}
      </dd>
    </div>
  )
}

function showLine(pointer: string | undefined): void {
  if (pointer === undefined) return
  document.querySelector(`[data-pointer="${CSS.escape(pointer)}"]`)?.scrollIntoView({ block: 'center' })
}
