import type { TimelineEntry } from '../api/types.ts'
import { sourceLabel } from '../deliveries/words.ts'
import { Badge } from '../parts/badge.tsx'
import { Time } from '../parts/time.tsx'
import { DeliveryLink } from './delivery-link.tsx'
import type { TicketSearch } from './search.ts'
import { TicketLink } from './ticket-link.tsx'

const WORDS = {
  created: 'Created',
  updated: 'Changed',
  commented: 'Commented',
  solved: 'Solved',
  reopened: 'Opened again',
  deleted: 'Deleted at its sender',
  outdated: 'An older change came late, and changed nothing',
  remapped: 'Another field map was applied',
  erased: 'Personal data was erased',
  triaged: 'Set by triage',
  merged: 'Merged',
  unmerged: 'Un-merged',
  relayed: 'Something came for a merged ticket',
} as const satisfies Record<TimelineEntry['kind'], string>

/** Said in the heading, with links. */
const POINTERS = new Set(['merged_into', 'merged', 'relayed'])

const VALUE_CHARS = 120

/** What happened, oldest first. */
export function Timeline({ entries, search }: { entries: TimelineEntry[]; search: TicketSearch }) {
  return (
    <ol className="flex flex-col gap-4 border-l border-line pl-4">
      {entries.map((entry, index) => (
        // Entries are only ever added at the end.
        // oxlint-disable-next-line react/no-array-index-key
        <li key={index} className="relative flex flex-col gap-1">
          <span aria-hidden="true" className="absolute top-1.5 -left-[1.3rem] size-2 rounded-full bg-line-strong" />
          <p className="flex flex-wrap gap-x-2 text-sm text-muted">
            <span className="font-medium text-ink">
              <Heading entry={entry} search={search} />
            </span>
            <span>by {entry.comment?.author ?? sourceLabel(entry.actor)}</span>
            <Time at={entry.at} />
            {entry.delivery_id !== null && <DeliveryLink id={entry.delivery_id} />}
          </p>
          <Changes changes={entry.changes} />
          {entry.comment && (
            <div className="rounded-lg border border-line bg-pane p-3">
              {!entry.comment.public && <Badge tone="warn">internal note</Badge>}
              <p className="text-sm whitespace-pre-wrap wrap-anywhere">{entry.comment.body}</p>
            </div>
          )}
        </li>
      ))}
    </ol>
  )
}

function Heading({ entry: { kind, changes }, search }: { entry: TimelineEntry; search: TicketSearch }) {
  const link = (id: unknown) => <TicketLink id={Number(id)} search={search} />
  const { merged_into: into, merged, relayed } = changes
  if (into) return into.to === null ? <>Un-merged from {link(into.from)}</> : <>Merged into {link(into.to)}</>
  if (merged)
    return merged.to === null ? <>{link(merged.from)} was un-merged</> : <>{link(merged.to)} was merged into this</>
  if (!relayed) return WORDS[kind] ?? kind
  const told = relayed.to as { ticket: number; kind: TimelineEntry['kind'] } // the store's own words
  return (
    <>
      On {link(told.ticket)}, which is merged into this: {WORDS[told.kind]}
    </>
  )
}

function Changes({ changes }: { changes: TimelineEntry['changes'] }) {
  const fields = Object.entries(changes).filter(([field]) => !POINTERS.has(field))
  if (fields.length === 0) return null
  return (
    <ul className="flex flex-col gap-0.5 text-sm">
      {fields.map(([field, { from, to }]) => (
        <li key={field} className="wrap-anywhere">
          <span className="text-muted">{field.replaceAll('_', ' ')}: </span>
          <del className="text-muted">{shown(from)}</del>
          <span aria-hidden="true"> → </span>
          <ins className="no-underline">{shown(to)}</ins>
        </li>
      ))}
    </ul>
  )
}

function shown(value: unknown): string {
  if (value === null || value === undefined || value === '') return 'none'
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > VALUE_CHARS ? `${text.slice(0, VALUE_CHARS)}…` : text
}
