import { Content, List, Root, Trigger } from '@radix-ui/react-tabs'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { type ReactNode, useState } from 'react'

import { api, ApiError } from '../api/client.ts'
import { type Delivery, deliveryQuery, examinedQuery, sourceQuery, type WholeDelivery } from '../api/operations.ts'
import { may, sessionQuery } from '../api/session.ts'
import { Badge } from '../parts/badge.tsx'
import { Button, buttonClass } from '../parts/button.tsx'
import { Copy } from '../parts/copy.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { Icon } from '../parts/icon.tsx'
import { Empty, Failed, Loading } from '../parts/state.tsx'
import { Time } from '../parts/time.tsx'
import { say } from '../parts/toast.tsx'
import { Mapped } from './mapped.tsx'
import { bytes, isRegistered, isUnproved, milliseconds, OUTCOME_TONES, sourceLabel } from './words.ts'

const route = getRouteApi('/shell/deliveries/$deliveryId')

/** One request: what it was, whether it was believed, what was made of it. */
export function Inspector() {
  const { deliveryId } = route.useParams()
  const search = route.useSearch()
  const id = /^\d{1,15}$/.test(deliveryId) ? Number(deliveryId) : 0
  const found = useQuery({ ...deliveryQuery(id), enabled: id > 0 })
  const isMissing = id === 0 || (found.error instanceof ApiError && found.error.status === 404)
  return (
    <section aria-label={`Delivery ${deliveryId}`} className="flex min-h-0 min-w-0 flex-1 flex-col overflow-auto">
      <div className="sticky top-0 z-10 flex items-center gap-2 border-b border-line bg-pane px-4 py-2">
        <Link to="/deliveries" search={search} aria-label="Close the delivery" className={buttonClass('quiet', 'icon')}>
          <Icon name="back" className="size-4 lg:hidden" />
          <Icon name="close" className="hidden size-4 lg:block" />
        </Link>
        <h2 className="font-semibold tabular-nums">Delivery {deliveryId}</h2>
        {found.data && <Badge tone={OUTCOME_TONES[found.data.outcome]}>{found.data.outcome}</Badge>}
        <span className="ml-auto" />
        {found.data && <Replay delivery={found.data} />}
      </div>
      {isMissing && (
        <Empty icon="search" title={`There is no delivery ${deliveryId}`}>
          Deliveries are kept for a limited time.
        </Empty>
      )}
      {found.isPending && id > 0 && <Loading />}
      {found.isError && !isMissing && <Failed error={found.error} retry={() => void found.refetch()} />}
      {found.data && <Inspected key={id} delivery={found.data} />}
    </section>
  )
}

function Inspected({ delivery }: { delivery: WholeDelivery }) {
  const examined = useQuery(examinedQuery(delivery.id))
  return (
    <>
      <Verdict delivery={delivery} />
      <Facts delivery={delivery} />
      <Root defaultValue="mapped" className="flex flex-col">
        <List aria-label="What to look at" className="flex gap-1 border-b border-line bg-pane px-3">
          <Tab value="mapped">Payload and ticket</Tab>
          <Tab value="headers">Headers</Tab>
          <Tab value="body">Raw body</Tab>
        </List>
        <Content value="mapped" tabIndex={-1}>
          {examined.isPending && <Loading />}
          {examined.isError && <Failed error={examined.error} retry={() => void examined.refetch()} />}
          {examined.data === null && (
            <Empty title="Its body was not kept">
              Of a sender that nobody knows, only that it came is written down.
            </Empty>
          )}
          {examined.data && <Mapped examined={examined.data} />}
        </Content>
        <Content value="headers" tabIndex={-1}>
          <Headers headers={delivery.headers} />
        </Content>
        <Content value="body" tabIndex={-1}>
          <RawBody delivery={delivery} />
        </Content>
      </Root>
    </>
  )
}

const Tab = ({ value, children }: { value: string; children: ReactNode }) => (
  <Trigger
    value={value}
    className="border-b-2 border-transparent px-2 py-2 text-sm text-muted hover:text-ink data-[state=active]:border-accent data-[state=active]:font-medium data-[state=active]:text-ink"
  >
    {children}
  </Trigger>
)

/** Whether it was believed, and why not. */
function Verdict({ delivery }: { delivery: WholeDelivery }) {
  const { source, status, outcome, reason, replay_of: replayOf } = delivery
  const session = useQuery(sessionQuery)
  const isKnown = isRegistered(source)
  const set = useQuery({ ...sourceQuery(source), enabled: isKnown && may(session.data, 'admin'), retry: false })
  if (isUnproved(delivery)) {
    const about = status === 401 ? 'Not verified' : 'Not let in'
    return (
      <VerdictBox tone="bad" title={about} detail={reason}>
        {isKnown && (
          <Link to="/sources/$sourceId" params={{ sourceId: source }} className="font-medium underline">
            Open the source
          </Link>
        )}
      </VerdictBox>
    )
  }
  if (outcome === 'rejected') {
    const title = `Refused with ${status}`
    return (
      <VerdictBox tone="bad" title={title} detail={reason}>
        {isKnown && (
          <Link
            to="/sources/$sourceId/mapping"
            params={{ sourceId: source }}
            search={{ delivery: String(delivery.id) }}
            className="font-medium underline"
          >
            Mend the mapping
          </Link>
        )}
      </VerdictBox>
    )
  }
  const how = replayOf === null ? provedBy(source, set.data?.auth) : `Played again; it came as delivery ${replayOf}`
  const detail = reason === null ? how : `${how}. ${reason}`
  return (
    <VerdictBox tone="good" title={replayOf === null && source !== 'open' ? 'Verified' : 'Taken'} detail={detail} />
  )
}

/** `auth` is not known to everybody, nor at once. */
function provedBy(source: string, auth: string | undefined): string {
  if (source === 'open') return 'This server is open to its own machine: nobody has to prove anything'
  if (!isRegistered(source)) return `It showed the API ${sourceLabel(source)}`
  if (auth === undefined) return 'It showed what its source demands'
  if (auth === 'network') return 'It came from a network of this source'
  return auth === 'key' ? 'It showed an API key' : 'Its signature matches a secret of this source'
}

function VerdictBox({
  tone,
  title,
  detail,
  children,
}: {
  tone: 'good' | 'bad'
  title: string
  detail: string | null
  children?: ReactNode
}) {
  const look = tone === 'good' ? 'bg-good-soft text-good' : 'bg-bad-soft text-bad'
  return (
    <div className={`flex flex-wrap items-center gap-x-3 gap-y-1 px-4 py-2.5 text-sm ${look}`} data-verdict={tone}>
      <Icon name={tone === 'good' ? 'check' : 'warn'} />
      <p className="min-w-0 flex-1 wrap-anywhere">
        <strong className="font-semibold">{title}</strong>
        {detail !== null && `: ${detail}`}
      </p>
      {children}
    </div>
  )
}

function Facts({ delivery }: { delivery: WholeDelivery }) {
  const { source, ticket_id: ticketId, replay_of: replayOf } = delivery
  return (
    <dl className="grid grid-cols-2 gap-x-4 gap-y-2 border-b border-line bg-pane px-4 py-3 text-sm md:grid-cols-4">
      <Fact name="Received">
        <Time at={delivery.received_at} />
      </Fact>
      <Fact name="Source">
        {isRegistered(source) ? (
          <Link to="/sources/$sourceId" params={{ sourceId: source }} className="text-accent-strong underline">
            {source}
          </Link>
        ) : (
          sourceLabel(source)
        )}
      </Fact>
      <Fact name="Platform">{delivery.platform ?? 'not known'}</Fact>
      <Fact name="Answer">
        {delivery.status} in {milliseconds(delivery.duration_ms)}
      </Fact>
      <Fact name="Ticket">
        {ticketId === null ? (
          'none'
        ) : (
          <Link
            to="/tickets/$ticketId"
            params={{ ticketId: String(ticketId) }}
            search={{}}
            className="text-accent-strong underline"
          >
            Ticket {ticketId}
          </Link>
        )}
      </Fact>
      <Fact name="Address">{delivery.address}</Fact>
      <Fact name="Body">{bytes(delivery.body_size)}</Fact>
      <Fact name="Request id">
        <span className="font-mono text-xs" title={delivery.request_id}>
          {delivery.request_id}
        </span>
      </Fact>
      {replayOf !== null && (
        <Fact name="Plays again">
          <Link
            to="/deliveries/$deliveryId"
            params={{ deliveryId: String(replayOf) }}
            search={{}}
            className="text-accent-strong underline"
          >
            Delivery {replayOf}
          </Link>
        </Fact>
      )}
    </dl>
  )
}

const Fact = ({ name, children }: { name: string; children: ReactNode }) => (
  <div className="min-w-0">
    <dt className="text-xs text-muted">{name}</dt>
    <dd className="truncate">{children}</dd>
  </div>
)

function Headers({ headers }: { headers: Record<string, unknown> }) {
  return (
    <dl className="bg-pane font-mono text-xs">
      {Object.entries(headers).map(([name, value]) => (
        <div key={name} className="grid gap-x-4 border-b border-line px-4 py-1.5 md:grid-cols-[16rem_minmax(0,1fr)]">
          <dt className="truncate text-muted">{name}</dt>
          <dd className="wrap-anywhere">{Array.isArray(value) ? value.join(', ') : String(value)}</dd>
        </div>
      ))}
    </dl>
  )
}

const SHOWN = 200_000

function RawBody({ delivery: { body, body_encoding: encoding, body_sha256: sha256 } }: { delivery: WholeDelivery }) {
  if (body === null) return <Empty title="Its body was not kept" />
  return (
    <div className="bg-pane">
      <div className="flex flex-wrap items-center gap-2 border-b border-line px-4 py-1.5 text-xs text-muted">
        <span className="min-w-0 truncate font-mono">SHA-256 {sha256}</span>
        {encoding === 'base64' && <Badge tone="warn">not UTF-8: shown as base64</Badge>}
        <Copy text={body} what="body" label="Copy" />
      </div>
      <pre className="px-4 py-3 font-mono text-xs wrap-anywhere whitespace-pre-wrap">{body.slice(0, SHOWN)}</pre>
      {body.length > SHOWN && <p className="px-4 pb-3 text-xs text-muted">Cut here; Copy takes all of it.</p>}
    </div>
  )
}

function Replay({ delivery }: { delivery: Delivery }) {
  const client = useQueryClient()
  const navigate = route.useNavigate()
  const session = useQuery(sessionQuery)
  const [isAsking, setAsking] = useState(false)
  const replay = useMutation({
    mutationFn: (unproved: boolean) =>
      api<Delivery>(`/api/deliveries/${delivery.id}/replay`, { method: 'POST', body: { unproved } }),
    onSuccess: (made) => {
      const became = made.outcome === 'rejected' ? `refused again: ${made.reason}` : made.outcome
      say({
        text: `Delivery ${delivery.id} was replayed and ${became}`,
        tone: made.outcome === 'rejected' ? 'bad' : 'plain',
      })
      void client.invalidateQueries({ queryKey: ['deliveries'] })
      void navigate({ to: '/deliveries/$deliveryId', params: { deliveryId: String(made.id) }, search: true })
    },
    onError: (error) => say({ text: error.message, tone: 'bad' }),
  })
  if (!may(session.data, 'write')) return null
  const needsTrust = isUnproved(delivery)
  return (
    <>
      <Button
        look={delivery.outcome === 'rejected' ? 'main' : 'plain'}
        disabled={replay.isPending}
        onClick={() => (needsTrust ? setAsking(true) : replay.mutate(false))}
      >
        {replay.isPending ? 'Replaying…' : 'Replay'}
      </Button>
      <Dialog title="Nobody proved who sent this" open={isAsking} onClose={() => setAsking(false)}>
        <p className="text-sm">
          It was refused because its sender could not be verified. Replay it only if you know that it is genuine: it
          will make a ticket as if it had been.
        </p>
        <div className="mt-4 flex justify-end gap-2">
          <Button onClick={() => setAsking(false)}>Leave it</Button>
          <Button
            look="danger"
            onClick={() => {
              setAsking(false)
              replay.mutate(true)
            }}
          >
            It is genuine, replay it
          </Button>
        </div>
      </Dialog>
    </>
  )
}
