import { useQuery } from '@tanstack/react-query'
import { Link, Outlet, useRouter } from '@tanstack/react-router'
import { useEffect } from 'react'

import { ApiError } from './api/client.ts'
import { startLive, useLiveState } from './api/events.ts'
import { sessionQuery } from './api/session.ts'
import { Account } from './access/account.tsx'
import { Icon, type IconName } from './parts/icon.tsx'
import { Failed } from './parts/state.tsx'
import { ThemeButton } from './parts/theme.tsx'

const PAGES = [
  { to: '/tickets', label: 'Tickets', icon: 'tickets' },
  { to: '/deliveries', label: 'Deliveries', icon: 'deliveries' },
  { to: '/articles', label: 'Articles', icon: 'articles' },
  { to: '/sources', label: 'Sources', icon: 'sources' },
  { to: '/insights', label: 'Insights', icon: 'insights' },
  { to: '/settings', label: 'Settings', icon: 'settings' },
] as const satisfies { to: string; label: string; icon: IconName }[]

/** What stays around every page: where to go, whether it is live, who is signed in. */
export function Shell() {
  const session = useQuery(sessionQuery)
  const router = useRouter()
  const isOut = session.error instanceof ApiError && session.error.status === 401
  useEffect(() => {
    // Once: the address changes before the door itself is there, and who signed out is on the way to it already.
    const { pathname, href } = router.latestLocation
    if (!isOut || pathname === '/sign-in') return
    void router.navigate({ to: '/sign-in', search: { to: href }, replace: true })
  }, [isOut, router])
  const isIn = session.data !== undefined
  useEffect(() => (isIn ? startLive() : undefined), [isIn])

  if (isOut) return null
  return (
    <div className="flex h-full flex-col md:flex-row">
      <a
        href="#main"
        className="sr-only z-50 rounded-md bg-accent px-3 py-2 text-on-accent focus:not-sr-only focus:fixed focus:top-2 focus:left-2"
      >
        Skip to the content
      </a>
      <nav
        aria-label="Pages"
        className="order-last flex shrink-0 border-t border-line bg-bg md:order-first md:w-52 md:flex-col md:border-t-0 md:border-r md:p-3"
      >
        <Link to="/tickets" search={{}} className="mb-4 hidden items-center gap-2 px-2 pt-1 font-semibold md:flex">
          <img src="/icon.svg" alt="" className="size-6" />
          TicketFlow
        </Link>
        <ul className="flex flex-1 md:flex-none md:flex-col md:gap-0.5">
          {PAGES.map(({ to, label, icon }) => (
            <li key={to} className="flex-1 md:flex-none">
              <Link
                to={to}
                search={{}}
                className="flex flex-col items-center gap-0.5 rounded-md py-2 text-xs text-muted transition-colors hover:bg-raised hover:text-ink md:flex-row md:gap-2.5 md:px-2 md:py-1.5 md:text-base"
                activeProps={{ className: 'text-ink! font-medium md:bg-raised' }}
              >
                <Icon name={icon} />
                {label}
              </Link>
            </li>
          ))}
        </ul>
        <div className="mt-auto hidden flex-col gap-2 md:flex">
          <Live />
          <div className="flex items-center justify-between gap-1">
            <Account />
            <ThemeButton />
          </div>
        </div>
      </nav>
      <main id="main" tabIndex={-1} className="flex min-h-0 min-w-0 flex-1 flex-col outline-none">
        <div className="flex items-center justify-between border-b border-line px-2 py-1 md:hidden">
          <Account />
          <div className="flex items-center gap-2">
            <Live />
            <ThemeButton />
          </div>
        </div>
        {session.isError ? <Failed error={session.error} retry={() => void session.refetch()} /> : <Outlet />}
      </main>
    </div>
  )
}

const LIVE = {
  connecting: { label: 'Connecting', dot: 'bg-line-strong' },
  live: { label: 'Live', dot: 'bg-good' },
  offline: { label: 'Offline, trying again', dot: 'bg-bad' },
  absent: { label: 'Not live', dot: 'bg-line-strong' },
} as const

function Live() {
  const state = useLiveState()
  const { label, dot } = LIVE[state]
  return (
    <p role="status" data-live={state} className="flex items-center gap-2 px-2 text-xs text-muted">
      <span aria-hidden="true" className={`size-2 rounded-full ${dot}`} />
      {label}
    </p>
  )
}
