import { useQuery } from '@tanstack/react-query'

import { api } from '../api/client.ts'
import { Page } from '../parts/page.tsx'
import { Empty, Failed, Loading } from '../parts/state.tsx'

export function SourcesPage() {
  const found = useQuery({
    queryKey: ['sources'],
    queryFn: ({ signal }) => api<{ sources: { id: unknown }[] }>('/api/sources', { signal }),
  })
  return (
    <Page title="Sources">
      {found.isPending && <Loading />}
      {found.isError && <Failed error={found.error} retry={() => void found.refetch()} />}
      {found.data?.sources.length === 0 && <Empty icon="sources" title="Nothing yet" />}
      {found.data !== undefined && found.data.sources.length > 0 && (
        <pre className="p-6 font-mono text-xs">{JSON.stringify(found.data.sources, null, 2)}</pre>
      )}
    </Page>
  )
}
