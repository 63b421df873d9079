import { Page } from '../parts/page.tsx'
import { Empty } from '../parts/state.tsx'

export function TicketsPage() {
  return (
    <Page title="Tickets">
      <Empty title="Nothing yet" />
    </Page>
  )
}
