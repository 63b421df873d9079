import { useMutation, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'

import { api, ApiError } from '../api/client.ts'
import { useLiveEvents, useLiveState } from '../api/events.ts'
import { aboutQuery, may, sessionQuery } from '../api/session.ts'
import { listed, type ListedTicket, type Ticket } from '../api/types.ts'
import { PriorityBadge } from '../parts/badge.tsx'
import { Button } from '../parts/button.tsx'
import { Copy } from '../parts/copy.tsx'
import { Icon } from '../parts/icon.tsx'
import { Page } from '../parts/page.tsx'
import { Time } from '../parts/time.tsx'
import { TEST_SENDERS, type TestSender } from './senders.ts'

const WEBHOOK = '/api/integrations/webhook'
const ARRIVALS = 5

/** How the first ticket gets in: by a command that is ready to run, or by one click. */
export function WelcomePage() {
  const { data: session } = useQuery(sessionQuery)
  const { data: about } = useQuery(aboutQuery)
  const [arrived, setArrived] = useState<ListedTicket[]>([])
  const arrive = (ticket: ListedTicket) =>
    setArrived((before) => [ticket, ...before.filter(({ id }) => id !== ticket.id)].slice(0, ARRIVALS))
  useLiveEvents(({ kind, data }) => {
    if (kind === 'ticket') arrive(data as ListedTicket) // the server's own row
  })
  const isOpen = session?.open ?? true
  const curl = curlFor((about?.public_url ?? location.origin).replace(/\/$/, '') + WEBHOOK, isOpen)
  return (
    <Page title="Get the first ticket in">
      <div className="mx-auto flex max-w-3xl flex-col gap-8 px-4 py-8 md:px-8">
        <section aria-labelledby="by-click" className="flex flex-col gap-3">
          <h2 id="by-click" className="text-lg font-semibold">
            Send a test ticket
          </h2>
          <p className="text-muted">
            Each is a delivery as that system really sends it. It goes the whole way: webhook, audit log, ticket.
          </p>
          <div className="grid grid-cols-2 gap-2 sm:grid-cols-4">
            {TEST_SENDERS.map((sender) => (
              <SendButton key={sender.id} sender={sender} isAllowed={may(session, 'intake')} onAnswer={arrive} />
            ))}
          </div>
          <Arrivals tickets={arrived} />
        </section>
        <section aria-labelledby="by-command" className="flex flex-col gap-3">
          <div className="flex items-center justify-between">
            <h2 id="by-command" className="text-lg font-semibold">
              Or from a terminal
            </h2>
            <Copy text={curl} what="command" label="Copy" />
          </div>
          <pre
            aria-label="Command"
            className="whitespace-pre-wrap wrap-anywhere rounded-lg border border-line bg-pane p-4 font-mono text-sm"
          >
            {curl}
          </pre>
          {!isOpen && (
            <p className="text-sm text-muted">
              <code className="font-mono">$TICKETFLOW_KEY</code> is a key with the scope intake:{' '}
              <code className="font-mono">ticketflow keys create</code> makes one, and so do the{' '}
              <Link to="/settings" search={{}} className="text-accent underline underline-offset-2">
                settings
              </Link>
              .
            </p>
          )}
        </section>
        <section aria-labelledby="for-good" className="flex flex-col gap-3">
          <h2 id="for-good" className="text-lg font-semibold">
            Then connect a real system
          </h2>
          <p className="text-muted">
            A{' '}
            <Link to="/sources" search={{}} className="text-accent underline underline-offset-2">
              source
            </Link>{' '}
            gives a sender its own address, checks its signature and keeps its field map. Every request is kept under{' '}
            <Link to="/deliveries" search={{}} className="text-accent underline underline-offset-2">
              deliveries
            </Link>
            , refused ones with the reason.
          </p>
        </section>
      </div>
    </Page>
  )
}

function SendButton({
  sender,
  isAllowed,
  onAnswer,
}: {
  sender: TestSender
  isAllowed: boolean
  onAnswer: (ticket: ListedTicket) => void
}) {
  const live = useLiveState()
  const send = useMutation({
    mutationFn: () => {
      const { headers, body } = sender.build(serial(), new Date())
      return api<Ticket>(`${WEBHOOK}?platform=${sender.id}`, { method: 'POST', headers, body })
    },
    // It is shown when it arrives by the stream, as every other; where there is none, the answer has to do.
    onSuccess: (ticket) => live !== 'live' && onAnswer(listed(ticket)),
  })
  return (
    <div className="flex flex-col gap-1">
      <Button
        className="h-12"
        disabled={send.isPending || !isAllowed}
        aria-label={`Send a ${sender.label} ticket`}
        onClick={() => send.mutate()}
      >
        <Icon name="send" className="size-3.5 text-muted" />
        {sender.label}
      </Button>
      {send.error && (
        <p role="alert" className="text-xs text-bad wrap-anywhere">
          {send.error instanceof ApiError ? send.error.message : String(send.error)}
        </p>
      )}
    </div>
  )
}

function Arrivals({ tickets }: { tickets: ListedTicket[] }) {
  return (
    <div className="min-h-44 overflow-hidden rounded-lg border border-line bg-pane">
      <p role="status" className="border-b border-line px-4 py-2 text-sm text-muted">
        {tickets.length === 0 ? 'Waiting for a ticket…' : `Arrived: ${tickets[0]?.title}`}
      </p>
      <ul>
        {tickets.map((ticket) => (
          <li key={ticket.id} className="arrive">
            <Link
              to="/tickets/$ticketId"
              params={{ ticketId: String(ticket.id) }}
              search={{}}
              className="flex items-center gap-3 px-4 py-2 -outline-offset-2 hover:bg-raised"
            >
              <span className="text-sm text-muted tabular-nums">#{ticket.id}</span>
              <span className="min-w-0 flex-1 truncate font-medium">{ticket.title}</span>
              <PriorityBadge priority={ticket.priority} />
              <span className="hidden text-sm text-muted sm:block">{ticket.platform}</span>
              <Time at={ticket.created_at} className="text-sm text-muted" />
            </Link>
          </li>
        ))}
      </ul>
    </div>
  )
}

/** A number that no test ticket had before it: each makes a ticket of its own. */
const serial = () => Math.floor(Date.now() / 100) % 1_000_000_000

function curlFor(url: string, isOpen: boolean): string {
  const key = isOpen ? '' : `  -H "Authorization: Bearer $TICKETFLOW_KEY" \\\n`
  const body = {
    platform: 'custom_system',
    id: 'ext-1',
    title: 'Cannot sign in',
    description: 'It says the password is wrong.',
    priority: 'high',
  }
  return `curl ${url} \\\n${key}  -H 'Content-Type: application/json' \\\n  -d '${JSON.stringify(body)}'`
}
