import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'

import { api, ApiError } from '../api/client.ts'
import { useLiveEvents } from '../api/events.ts'
import {
  listed,
  type ListedTicket,
  PRIORITIES,
  STATUSES,
  type Ticket,
  type TicketChange,
  type TimelineEntry,
} from '../api/types.ts'
import { Button, buttonClass } from '../parts/button.tsx'
import { Copy } from '../parts/copy.tsx'
import { Input, Select } from '../parts/field.tsx'
import { Icon } from '../parts/icon.tsx'
import { Empty, Failed, Loading } from '../parts/state.tsx'
import { Time } from '../parts/time.tsx'
import { say } from '../parts/toast.tsx'
import { patchTicket } from './bulk.ts'
import { MergeDialog } from './merge-dialog.tsx'
import { useMerging } from './merging.ts'
import { MergeState } from './merge-state.tsx'
import { Metadata } from './metadata.tsx'
import type { TicketSearch } from './search.ts'
import { Timeline } from './timeline.tsx'
import { TriageCard } from './triage-card.tsx'

/** More than this is folded: a ticket may hold a megabyte. */
const FOLDED_CHARS = 6_000

/** One ticket with all that is known of it. */
export function Detail({
  id,
  search,
  mayWrite,
  onChanged,
  onClose,
}: {
  id: number
  search: TicketSearch
  mayWrite: boolean
  onChanged: (ticket: ListedTicket) => void
  onClose: () => void
}) {
  const client = useQueryClient()
  const found = useQuery({
    queryKey: ['ticket', id],
    queryFn: ({ signal }) => api<Ticket>(`/api/tickets/${id}`, { signal }),
  })
  const history = useQuery({
    queryKey: ['ticket', id, 'timeline'],
    queryFn: ({ signal }) => api<{ timeline: TimelineEntry[] }>(`/api/tickets/${id}/timeline`, { signal }),
  })
  useLiveEvents(({ kind, data }) => {
    const isThis = kind === 'ticket' && (data as ListedTicket).id === id
    if (isThis || kind === 'more') void client.invalidateQueries({ queryKey: ['ticket', id] })
  })
  const take = (ticket: Ticket) => {
    client.setQueryData<Ticket>(['ticket', ticket.id], (old) => ({ ...ticket, triage: old?.triage ?? null }))
    onChanged(listed(ticket))
    void client.invalidateQueries({ queryKey: ['ticket'] })
  }
  const heading = useRef<HTMLHeadingElement>(null)
  // The button that was pressed is gone then.
  const merging = useMerging((ticket) => {
    take(ticket)
    heading.current?.focus()
  })
  /** Which ticket is proposed to merge this one into; '' for none, null while nobody asks. */
  const [into, setInto] = useState<number | '' | null>(null)
  const change = useMutation({
    mutationFn: (what: TicketChange) => patchTicket(id, what),
    onSuccess: take,
    onError: (error) => say({ tone: 'bad', text: error.message }),
  })
  const isThere = found.data !== undefined
  const isMissing = found.error instanceof ApiError && found.error.status === 404
  // Who opened it by a click or Enter reads on here; who walks the list with j and k stays in the list.
  useEffect(() => {
    const isInList = document.activeElement?.matches('[data-ticket]') && matchMedia('(min-width: 1100px)').matches
    if (isThere && !isInList) heading.current?.focus()
  }, [isThere])

  const ticket = found.data
  const isLocked = !mayWrite || change.isPending || merging.isPending
  const entries = history.data?.timeline
  return (
    <article aria-label={`Ticket ${id}`} className="flex min-h-0 min-w-0 flex-1 flex-col">
      <header className="flex min-h-14 flex-wrap items-center gap-1 border-b border-line bg-pane px-2 py-1 md:px-4">
        <Button look="quiet" size="icon" aria-label="Back to the list" title="Back to the list (Esc)" onClick={onClose}>
          <Icon name="back" />
        </Button>
        <span className="text-sm text-muted tabular-nums">#{id}</span>
        <Copy text={String(id)} what="ticket number" />
        <Copy text={location.origin + location.pathname} what="link" label="Link" />
        <span className="ml-auto" />
        {ticket && <Origin ticket={ticket} />}
        {ticket && mayWrite && !ticket.merged_into && (
          <>
            <Button look="quiet" disabled={isLocked} onClick={() => setInto('')}>
              Merge
            </Button>
            <Button
              disabled={isLocked}
              onClick={() => change.mutate({ status: ticket.status === 'closed' ? 'open' : 'closed' })}
            >
              {ticket.status === 'closed' ? 'Reopen' : 'Close'}
            </Button>
          </>
        )}
      </header>
      <div className="min-h-0 flex-1 overflow-auto">
        {found.isPending && <Loading rows={6} />}
        {isMissing && <Empty icon="search" title={`There is no ticket ${id}`} />}
        {found.isError && !isMissing && <Failed error={found.error} retry={() => void found.refetch()} />}
        {ticket && (
          <div className="mx-auto flex max-w-3xl flex-col gap-6 px-4 py-6 md:px-8">
            <div className="flex flex-col gap-1">
              <h2 ref={heading} tabIndex={-1} className="text-xl font-semibold wrap-anywhere outline-none">
                {ticket.title}
              </h2>
              <p className="text-sm text-muted wrap-anywhere">
                {senderOf(ticket)} · <Time at={ticket.created_at} />
              </p>
            </div>
            <MergeState ticket={ticket} search={search} isLocked={isLocked} onUnmerge={merging.unmerge} />
            <Fields ticket={ticket} isLocked={isLocked} onChange={change.mutate} />
            <Description text={ticket.description} />
            <TriageCard
              ticket={ticket}
              search={search}
              isLocked={isLocked}
              onAccept={change.mutate}
              onMerge={setInto}
            />
            <section aria-label="Timeline" className="flex flex-col gap-3">
              <h3 className="font-semibold">Timeline</h3>
              {history.isPending && <Loading rows={2} height={32} />}
              {history.isError && <Failed error={history.error} retry={() => void history.refetch()} />}
              {entries && <Timeline entries={entries} search={search} />}
            </section>
            <Metadata metadata={ticket.ticket_metadata} />
          </div>
        )}
      </div>
      {into !== null && (
        <MergeDialog
          what={`#${id}`}
          proposed={into}
          onMerge={(target) => merging.merge(id, target)}
          onClose={() => setInto(null)}
        />
      )}
    </article>
  )
}

/** By name where the sender gave one. */
function senderOf({ user_email: email, user_id: id, ticket_metadata: { requester_name: name } }: Ticket): string {
  return [name, email].filter((one) => typeof one === 'string').join(', ') || id || 'Unknown sender'
}

/** Where the ticket lives at its sender: shown only if it is a web address, as a sender may write anything there. */
function Origin({ ticket }: { ticket: Ticket }) {
  const { url, link, external_id: number } = ticket.ticket_metadata
  const given = [url, link].find((one) => typeof one === 'string' && /^https?:\/\//i.test(one))
  if (typeof given !== 'string' || !URL.canParse(given)) return null
  return (
    <a href={given} target="_blank" rel="noopener noreferrer nofollow" className={buttonClass('quiet')} title={given}>
      <span className="max-w-32 truncate">{String(number ?? new URL(given).host)}</span>
      <Icon name="out" className="size-3.5" />
      <span className="sr-only">(at its sender, in a new tab)</span>
    </a>
  )
}

function Fields({
  ticket,
  isLocked,
  onChange,
}: {
  ticket: Ticket
  isLocked: boolean
  onChange: (change: TicketChange) => void
}) {
  const [category, setCategory] = useState(ticket.category)
  useEffect(() => setCategory(ticket.category), [ticket.category])
  const keep = () => {
    const name = category.trim().toLowerCase()
    if (name === '') setCategory(ticket.category)
    else if (name !== ticket.category) onChange({ category: name })
  }
  return (
    <div className="grid grid-cols-1 gap-3 sm:grid-cols-3">
      <label className="flex flex-col gap-1 text-xs text-muted">
        Status
        <Select
          value={ticket.status}
          disabled={isLocked || Boolean(ticket.merged_into)}
          onChange={(event) => onChange({ status: event.target.value as Ticket['status'] })}
        >
          {STATUSES.map((status) => (
            <option key={status}>{status}</option>
          ))}
        </Select>
      </label>
      <label className="flex flex-col gap-1 text-xs text-muted">
        Priority
        <Select
          value={ticket.priority}
          disabled={isLocked}
          onChange={(event) => onChange({ priority: event.target.value as Ticket['priority'] })}
        >
          {PRIORITIES.map((priority) => (
            <option key={priority}>{priority}</option>
          ))}
        </Select>
      </label>
      <label className="flex flex-col gap-1 text-xs text-muted">
        Category
        <Input
          value={category}
          disabled={isLocked}
          maxLength={200}
          onChange={(event) => setCategory(event.target.value)}
          onBlur={keep}
          onKeyDown={(event) => event.key === 'Enter' && event.currentTarget.blur()}
        />
      </label>
    </div>
  )
}

function Description({ text }: { text: string }) {
  const [isWhole, setIsWhole] = useState(false)
  const isLong = text.length > FOLDED_CHARS
  return (
    <section aria-label="Description" className="group flex flex-col items-start gap-2">
      <p className="max-w-full whitespace-pre-wrap wrap-anywhere">
        {isLong && !isWhole ? `${text.slice(0, FOLDED_CHARS)}…` : text}
      </p>
      <div className="-ml-2 flex gap-1">
        {isLong && !isWhole && (
          <Button size="sm" look="quiet" onClick={() => setIsWhole(true)}>
            Show all {text.length.toLocaleString('en')} characters
          </Button>
        )}
        <Copy text={text} what="description" label="Copy" />
      </div>
    </section>
  )
}
