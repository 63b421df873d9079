import { useMutation } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Fragment, type ReactNode } from 'react'

import { api } from '../api/client.ts'
import { PRIORITIES, type Priority, type Ticket, type TicketChange } from '../api/types.ts'
import { Badge } from '../parts/badge.tsx'
import { Button } from '../parts/button.tsx'
import { Copy } from '../parts/copy.tsx'
import { Icon } from '../parts/icon.tsx'
import { say } from '../parts/toast.tsx'
import type { TicketSearch } from './search.ts'
import { TicketLink } from './ticket-link.tsx'
import { bySource, type CitedSource, readTriage, type Suggested } from './triage.ts'

/** What triage suggests, how sure it is, and one click to take it. */
export function TriageCard({
  ticket,
  search,
  isLocked,
  onAccept,
  onMerge,
}: {
  ticket: Ticket
  search: TicketSearch
  isLocked: boolean
  onAccept: (change: TicketChange) => void
  onMerge: (into: number) => void
}) {
  const triage = readTriage(ticket.triage)
  const again = useMutation({
    mutationFn: () => api(`/api/tickets/${ticket.id}/triage`, { method: 'POST' }),
    onSuccess: () => say({ text: 'Asked: what triage says now will be here in a moment' }),
    onError: (error) => say({ tone: 'bad', text: error.message }),
  })
  const askAgain = (label: string) => (
    <Button
      look="quiet"
      size="sm"
      className="ml-auto"
      disabled={isLocked || again.isPending}
      onClick={() => again.mutate()}
    >
      {label}
    </Button>
  )
  if (triage === null) {
    return (
      <section aria-label="Triage" className="flex items-center gap-2 text-sm text-muted">
        <Icon name="spark" />
        Not triaged yet.
        {askAgain('Ask')}
      </section>
    )
  }
  const priority = PRIORITIES.find((one) => one === triage.priority?.value)
  return (
    <section aria-label="Triage" className="flex flex-col gap-4 rounded-xl border border-line bg-pane p-4">
      <h3 className="flex items-center gap-2 font-semibold">
        <Icon name="spark" className="size-4 text-accent" />
        Triage
        {triage.language && <Badge>{triage.language}</Badge>}
        {askAgain('Ask again')}
      </h3>
      {triage.summary && <p className="text-sm wrap-anywhere">{triage.summary}</p>}
      <div className="flex flex-col gap-2">
        {triage.category && (
          <Suggestion
            label="Category"
            suggested={triage.category}
            isTaken={ticket.category === triage.category.value}
            isLocked={isLocked}
            onAccept={() => onAccept({ category: triage.category?.value ?? '' })}
          />
        )}
        {triage.priority && priority && (
          <Suggestion
            label="Priority"
            suggested={triage.priority}
            isTaken={ticket.priority === priority}
            isLocked={isLocked}
            onAccept={() => onAccept({ priority: priority satisfies Priority })}
          />
        )}
      </div>
      {triage.notes.map((note) => (
        <p key={note} className="text-xs text-muted wrap-anywhere">
          {note}
        </p>
      ))}
      <Related
        title="Probably the same as"
        kind="ticket"
        related={triage.duplicatesOf}
        search={search}
        action={(id) =>
          ticket.merged_into ? (
            id === ticket.merged_into && <Badge>merged into it</Badge>
          ) : (
            <Button size="sm" className="ml-auto" disabled={isLocked} onClick={() => onMerge(id)}>
              Merge into #{id}
            </Button>
          )
        }
      />
      <Related title="Similar tickets" kind="ticket" related={triage.similar} search={search} />
      <Related title="Articles" kind="article" related={triage.articles} search={search} />
      {triage.draftReply && (
        <div className="flex flex-col gap-1">
          <div className="flex items-center justify-between">
            <h4 className="text-sm font-medium">Draft reply</h4>
            <Copy text={triage.draftReply.text} what="draft reply" label="Copy" />
          </div>
          <p className="rounded-md bg-raised p-3 text-sm whitespace-pre-wrap wrap-anywhere">{triage.draftReply.text}</p>
          {triage.draftReply.sources.length > 0 && (
            <p className="text-xs text-muted">
              From{' '}
              {triage.draftReply.sources.map((source, index) => (
                <Fragment key={`${source.kind}${source.id}`}>
                  {index > 0 && ', '}
                  <To {...source} search={search} className="text-accent hover:underline">
                    {source.kind} {source.id}
                  </To>
                </Fragment>
              ))}
            </p>
          )}
        </div>
      )}
    </section>
  )
}

function Suggestion({
  label,
  suggested: { value, confidence, source },
  isTaken,
  isLocked,
  onAccept,
}: {
  label: string
  suggested: Suggested
  isTaken: boolean
  isLocked: boolean
  onAccept: () => void
}) {
  const percent = confidence === null ? null : Math.round(confidence * 100)
  return (
    <div className="flex min-h-8 flex-wrap items-center gap-x-3 gap-y-1 text-sm">
      <span className="w-20 text-muted">{label}</span>
      <span className="font-medium wrap-anywhere">{value}</span>
      {percent !== null && (
        <span className="flex items-center gap-2 text-muted tabular-nums" title={bySource(source)}>
          <meter min={0} max={100} value={percent} aria-label={`${label}: confidence`} className="h-2 w-16" />
          {percent} %
        </span>
      )}
      {isTaken ? (
        <span className="ml-auto flex items-center gap-1 text-muted">
          <Icon name="check" className="size-3.5" /> In use
        </span>
      ) : (
        <Button size="sm" className="ml-auto" disabled={isLocked} onClick={onAccept}>
          Use {value.slice(0, 40)}
        </Button>
      )}
    </div>
  )
}

function Related({
  title,
  kind,
  related,
  search,
  action = () => null,
}: {
  title: string
  kind: CitedSource['kind']
  related: { id: number; title: string | null; similarity: number | null }[]
  search: TicketSearch
  action?: (id: number) => ReactNode
}) {
  if (related.length === 0) return null
  return (
    <div className="flex flex-col gap-1">
      <h4 className="text-sm font-medium">{title}</h4>
      <ul className="flex flex-col text-sm">
        {related.map(({ id, title: name, similarity }) => (
          <li key={id} className="flex items-baseline gap-2">
            {kind === 'ticket' ? (
              <TicketLink id={id} title={name} search={search} />
            ) : (
              <To kind={kind} id={id} search={search} className="min-w-0 truncate py-0.5 text-accent hover:underline">
                {name}
              </To>
            )}
            {similarity !== null && <span className="text-muted tabular-nums">{Math.round(similarity * 100)} %</span>}
            {action(id)}
          </li>
        ))}
      </ul>
    </div>
  )
}

/** To a ticket, beside the list as it is, or to an article. */
function To({
  kind,
  id,
  search,
  className,
  children,
}: CitedSource & { search: TicketSearch; className: string; children: ReactNode }) {
  return kind === 'ticket' ? (
    <Link to="/tickets/$ticketId" params={{ ticketId: String(id) }} search={search} className={className}>
      {children}
    </Link>
  ) : (
    <Link to="/articles/$articleId" params={{ articleId: String(id) }} search={{}} className={className}>
      {children}
    </Link>
  )
}
