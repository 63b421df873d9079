import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'

import { type Source, sourcesQuery } from '../api/operations.ts'
import { Badge } from '../parts/badge.tsx'
import { buttonClass } from '../parts/button.tsx'
import { Page } from '../parts/page.tsx'
import { Empty, Failed, Loading } from '../parts/state.tsx'
import { Time } from '../parts/time.tsx'
import { Refused, Silence, useHealth, useSourceNews } from './health.tsx'

const ROW = 68

export function SourcesPage() {
  const found = useQuery(sourcesQuery)
  useSourceNews(found.data?.sources ?? [])
  const create = (
    <Link to="/sources/new" className={buttonClass('main')}>
      New source
    </Link>
  )
  return (
    <Page title="Sources" actions={create}>
      {found.isPending && <Loading height={ROW} />}
      {found.isError && <Failed error={found.error} retry={() => void found.refetch()} />}
      {found.data?.sources.length === 0 && (
        <Empty icon="sources" title="No source yet">
          A source is one sender with an address of its own: it signs what it sends, has its own limits, and its own
          mapping.
          <span className="mt-3 block">{create}</span>
        </Empty>
      )}
      {found.data !== undefined && found.data.sources.length > 0 && (
        <ul className="bg-pane">
          {found.data.sources.map((source) => (
            <li key={source.id} className="border-b border-line">
              <Row source={source} />
            </li>
          ))}
        </ul>
      )}
    </Page>
  )
}

function Row({ source }: { source: Source }) {
  const health = useHealth(source.id)
  return (
    <Link
      to="/sources/$sourceId"
      params={{ sourceId: source.id }}
      className="grid min-h-17 grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 px-4 py-2 -outline-offset-2 hover:bg-raised md:grid-cols-[minmax(0,1fr)_7rem_9rem_7rem] md:px-6"
    >
      <span className="min-w-0">
        <span className="flex items-center gap-2">
          <span className="truncate font-medium">{source.name}</span>
          {source.disabled_at !== null && <Badge tone="warn">disabled</Badge>}
          <Silence source={source} last={health.last} />
        </span>
        <span className="block truncate text-sm text-muted">
          {source.id} · {source.platform ?? 'any platform'} · {source.auth}
        </span>
      </span>
      <span className="hidden text-sm text-muted md:block">
        {health.day?.count ?? '–'} <span className="text-xs">in 24 h</span>
      </span>
      <span className="hidden text-sm md:block">
        <Refused day={health.day} />
      </span>
      <span className="text-right text-sm text-muted">
        {health.last === null ? 'never seen' : <Time at={health.last.received_at} />}
      </span>
    </Link>
  )
}
