import { Page } from '../parts/page.tsx'
import { Empty } from '../parts/state.tsx'

export function SettingsPage() {
  return (
    <Page title="Settings">
      <Empty icon="settings" title="Nothing yet" />
    </Page>
  )
}
