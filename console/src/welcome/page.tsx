import { Page } from '../parts/page.tsx'
import { Empty } from '../parts/state.tsx'

export function WelcomePage() {
  return (
    <Page title="Welcome">
      <Empty title="Nothing yet" />
    </Page>
  )
}
