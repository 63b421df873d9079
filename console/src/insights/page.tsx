import { Page } from '../parts/page.tsx'
import { Empty } from '../parts/state.tsx'

export function InsightsPage() {
  return (
    <Page title="Insights">
      <Empty icon="insights" title="Nothing yet" />
    </Page>
  )
}
