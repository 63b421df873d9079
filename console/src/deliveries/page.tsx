import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Outlet, useParams } from '@tanstack/react-router'
import { useState } from 'react'

import { OUTCOMES, type Outcome, sourcesQuery } from '../api/operations.ts'
import { may, sessionQuery } from '../api/session.ts'
import { Button } from '../parts/button.tsx'
import { Select } from '../parts/field.tsx'
import { Page } from '../parts/page.tsx'
import { Empty, Failed, Loading } from '../parts/state.tsx'
import { DeliveryList, ROW } from './list.tsx'
import { ReplayMany } from './replay-many.tsx'
import { useDeliveries } from './stream.ts'

const route = getRouteApi('/shell/deliveries')

export function DeliveriesPage() {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const { deliveryId } = useParams({ strict: false })
  const stream = useDeliveries(search)
  const session = useQuery(sessionQuery)
  const sources = useSourceIds(search.source)
  const [isReplaying, setReplaying] = useState(false)
  const { found, deliveries, isPaused, held } = stream
  const isFiltered = search.outcome !== undefined || search.source !== undefined

  return (
    <Page
      title="Deliveries"
      actions={
        // On a narrow page one delivery has all the room there is.
        <div className={`contents items-center gap-2 lg:flex ${deliveryId === undefined ? '' : 'max-lg:hidden'}`}>
          <Filters search={search} sources={sources} set={(next) => void navigate({ search: next, replace: true })} />
          <Button onClick={isPaused ? stream.resume : stream.pause} aria-pressed={isPaused}>
            {isPaused ? `Resume${held > 0 ? ` (${held} new)` : ''}` : 'Pause'}
          </Button>
          {may(session.data, 'write') && (
            <Button onClick={() => setReplaying(true)} disabled={deliveries.length === 0}>
              Replay…
            </Button>
          )}
        </div>
      }
    >
      <div className="flex h-full min-h-0">
        <section
          aria-label="Deliveries, newest first"
          className={`min-h-0 min-w-0 flex-1 flex-col border-line lg:flex ${deliveryId === undefined ? 'flex' : 'hidden lg:max-w-md lg:border-r'}`}
        >
          {found.isPending && <Loading height={ROW} />}
          {found.isError && <Failed error={found.error} retry={() => void found.refetch()} />}
          {found.isSuccess && deliveries.length === 0 && (
            <Empty icon="deliveries" title={isFiltered ? 'No delivery is like that' : 'Nothing was delivered yet'}>
              {isFiltered
                ? 'Choose another outcome or source.'
                : 'Each request to the webhook appears here the moment it arrives, also one that is refused.'}
            </Empty>
          )}
          {deliveries.length > 0 && <DeliveryList stream={stream} search={search} chosen={Number(deliveryId)} />}
        </section>
        <Outlet />
      </div>
      {isReplaying && (
        <ReplayMany
          search={search}
          sources={sources}
          newest={deliveries[0]?.id ?? 0}
          onClose={() => setReplaying(false)}
        />
      )}
    </Page>
  )
}

type Search = ReturnType<typeof route.useSearch>

/** Who may have sent something, as far as it may be known, and who is asked for. */
function useSourceIds(chosen: string | undefined): string[] {
  const session = useQuery(sessionQuery)
  const sources = useQuery({ ...sourcesQuery, enabled: may(session.data, 'admin') })
  const ids = ['open', 'unknown', ...(sources.data?.sources.map(({ id }) => id) ?? [])]
  return chosen === undefined || ids.includes(chosen) ? ids : [...ids, chosen]
}

function Filters({ search, sources, set }: { search: Search; sources: string[]; set: (search: Search) => void }) {
  const { source, outcome } = search
  const change = (next: { outcome?: string; source?: string }) => {
    const wanted = { ...search, ...next }
    set({
      ...(wanted.outcome ? { outcome: wanted.outcome as Outcome } : {}),
      ...(wanted.source ? { source: wanted.source } : {}),
    })
  }
  return (
    <div className="order-last flex w-full gap-2 md:order-none md:w-auto">
      <Select
        aria-label="Outcome"
        className="flex-1 md:flex-none"
        value={outcome ?? ''}
        onChange={(event) => change({ outcome: event.target.value })}
      >
        <option value="">All outcomes</option>
        {OUTCOMES.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </Select>
      <Select
        aria-label="Source"
        className="flex-1 md:max-w-40 md:flex-none"
        value={source ?? ''}
        onChange={(event) => change({ source: event.target.value })}
      >
        <option value="">All sources</option>
        {sources.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </Select>
    </div>
  )
}
