import { useQuery } from '@tanstack/react-query'

import { api } from '../api/client.ts'
import { Page } from '../parts/page.tsx'
import { Empty, Failed, Loading } from '../parts/state.tsx'

export function DeliveriesPage() {
  const found = useQuery({
    queryKey: ['deliveries'],
    queryFn: ({ signal }) => api<{ deliveries: { id: unknown }[] }>('/api/deliveries?limit=1', { signal }),
  })
  return (
    <Page title="Deliveries">
      {found.isPending && <Loading />}
      {found.isError && <Failed error={found.error} retry={() => void found.refetch()} />}
      {found.data?.deliveries.length === 0 && <Empty icon="deliveries" title="Nothing yet" />}
      {found.data !== undefined && found.data.deliveries.length > 0 && (
        <pre className="p-6 font-mono text-xs">{JSON.stringify(found.data.deliveries, null, 2)}</pre>
      )}
    </Page>
  )
}
