import { useQuery } from '@tanstack/react-query'

import { keysQuery } from '../api/operations.ts'
import { aboutQuery, may, sessionQuery } from '../api/session.ts'
import { Copy } from '../parts/copy.tsx'
import { Page } from '../parts/page.tsx'
import { Section } from '../parts/section.tsx'
import { Empty, Failed, Loading } from '../parts/state.tsx'
import { Time } from '../parts/time.tsx'
import { AuditVerify } from './audit.tsx'
import { Environment } from './environment.tsx'
import { Keys } from './keys.tsx'
import { triageQuery, TriageSettings } from './triage.tsx'

export function SettingsPage() {
  const session = useQuery(sessionQuery)
  const isAllowed = may(session.data, 'admin')
  // Drawn at once: what came later would push down what is below it.
  const keys = useQuery({ ...keysQuery, enabled: isAllowed })
  const triage = useQuery({ ...triageQuery, enabled: isAllowed })
  const isLoading = session.isPending || (isAllowed && (keys.isPending || triage.isPending))
  return (
    <Page title="Settings">
      {isLoading && <Loading />}
      {session.isError && <Failed error={session.error} retry={() => void session.refetch()} />}
      {session.data && !isAllowed && (
        <Empty icon="settings" title="Settings are for administrators">
          The key that you signed in with may not see them.
        </Empty>
      )}
      {isAllowed && !isLoading && (
        <div className="mx-auto flex max-w-3xl flex-col gap-4 px-4 py-6">
          <Keys />
          <TriageSettings />
          <AuditVerify />
          <Backup />
          <Environment />
          <About />
        </div>
      )}
    </Page>
  )
}

const BACKUP = 'ticketflow backup /path/to/backup.db'

function Backup() {
  return (
    <Section
      title="Backup"
      about="Made on the server, while it runs: whole, checked and on disk before the file has its name. A backup belongs on another disk, so the server does not choose where."
    >
      <Command text={BACKUP} what="backup command" />
      <p className="text-sm text-muted">
        Put it into a timer. <code className="font-mono">ticketflow restore</code> puts one back, and keeps what was
        there.
      </p>
    </Section>
  )
}

function Command({ text, what }: { text: string; what: string }) {
  return (
    <div className="flex items-center gap-1 rounded-md border border-line bg-raised py-0.5 pr-0.5 pl-2.5">
      <code className="min-w-0 flex-1 font-mono text-xs wrap-anywhere">{text}</code>
      <Copy text={text} what={what} label="Copy" />
    </div>
  )
}

function About() {
  const about = useQuery(aboutQuery)
  if (!about.data) return null
  const {
    version,
    engine,
    started_at: started,
  } = about.data as { version: string; engine?: string; started_at?: string }
  return (
    <p className="text-center text-sm text-muted">
      TicketFlow AI {version}
      {engine && `, ${engine}`}
      {started && (
        <>
          , started <Time at={started} />
        </>
      )}
    </p>
  )
}
