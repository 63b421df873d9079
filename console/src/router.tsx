import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Link,
  Outlet,
  redirect,
} from '@tanstack/react-router'

import { query } from './api/client.ts'
import { queryClient, whenSignedOut } from './api/query.ts'
import { sessionQuery } from './api/session.ts'
import { readArticleSearch } from './articles/search.ts'
import { readDeliverySearch } from './deliveries/search.ts'
import { readInsightSearch } from './insights/search.ts'
import { buttonClass } from './parts/button.tsx'
import { Page } from './parts/page.tsx'
import { Empty, Failed } from './parts/state.tsx'
import { Shell } from './shell.tsx'
import { ticketsQuery } from './tickets/list-query.ts'
import { TicketsPage } from './tickets/page.tsx'
import { readMappingSearch } from './sources/search.ts'
import { readTicketSearch } from './tickets/search.ts'

// To add a page: a route here, its address in CONSOLE_PAGES (src/http/console.ts), a component that is loaded when it is
// first asked for; the tickets alone are there from the start, as nearly everybody begins with them. What a page shows
// stands in its address, so that each view can be linked to.

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound })

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  // Where to go then: a path of this console, never another host.
  validateSearch: ({ to }: Record<string, unknown>): { to?: string } =>
    typeof to === 'string' && /^\/(?![/\\])/.test(to) ? { to } : {},
  component: lazyRouteComponent(() => import('./access/sign-in.tsx'), 'SignInPage'),
})

const shell = createRoute({ getParentRoute: () => root, id: 'shell', component: Shell, notFoundComponent: NotFound })

const home = createRoute({
  getParentRoute: () => shell,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/tickets', search: {}, replace: true })
  },
})

const welcome = createRoute({
  getParentRoute: () => shell,
  path: '/welcome',
  component: lazyRouteComponent(() => import('./welcome/page.tsx'), 'WelcomePage'),
})

const tickets = createRoute({
  getParentRoute: () => shell,
  path: '/tickets',
  validateSearch: readTicketSearch,
  loaderDeps: ({ search }) => search,
  loader: ({ deps, cause }) => {
    if (cause !== 'preload') void queryClient.prefetchInfiniteQuery(ticketsQuery(deps))
  },
  component: TicketsPage,
})

/** The list stays beside it, with its filters. */
const ticket = createRoute({ getParentRoute: () => tickets, path: '$ticketId', component: Outlet })

const deliveries = createRoute({
  getParentRoute: () => shell,
  path: '/deliveries',
  validateSearch: readDeliverySearch,
  component: lazyRouteComponent(() => import('./deliveries/page.tsx'), 'DeliveriesPage'),
})

/** As with a ticket, the list stays beside it. */
const delivery = createRoute({
  getParentRoute: () => deliveries,
  path: '$deliveryId',
  component: lazyRouteComponent(() => import('./deliveries/inspector.tsx'), 'Inspector'),
})

const sources = createRoute({
  getParentRoute: () => shell,
  path: '/sources',
  component: lazyRouteComponent(() => import('./sources/page.tsx'), 'SourcesPage'),
})

const newSource = createRoute({
  getParentRoute: () => shell,
  path: '/sources/new',
  component: lazyRouteComponent(() => import('./sources/new.tsx'), 'NewSourcePage'),
})

const source = createRoute({
  getParentRoute: () => shell,
  path: '/sources/$sourceId',
  component: lazyRouteComponent(() => import('./sources/source.tsx'), 'SourcePage'),
})

const mapping = createRoute({
  getParentRoute: () => shell,
  path: '/sources/$sourceId/mapping',
  validateSearch: readMappingSearch,
  component: lazyRouteComponent(() => import('./sources/mapping.tsx'), 'MappingPage'),
})

const articles = createRoute({
  getParentRoute: () => shell,
  path: '/articles',
  validateSearch: readArticleSearch,
  component: lazyRouteComponent(() => import('./articles/page.tsx'), 'ArticlesPage'),
})

const article = createRoute({
  getParentRoute: () => articles,
  path: '$articleId',
  component: lazyRouteComponent(() => import('./articles/article.tsx'), 'ArticlePane'),
})

const insights = createRoute({
  getParentRoute: () => shell,
  path: '/insights',
  validateSearch: readInsightSearch,
  component: lazyRouteComponent(() => import('./insights/page.tsx'), 'InsightsPage'),
})

const settings = createRoute({
  getParentRoute: () => shell,
  path: '/settings',
  component: lazyRouteComponent(() => import('./settings/page.tsx'), 'SettingsPage'),
})

const routeTree = root.addChildren([
  signIn,
  shell.addChildren([
    home,
    welcome,
    tickets.addChildren([ticket]),
    deliveries.addChildren([delivery]),
    sources,
    newSource,
    source,
    mapping,
    articles.addChildren([article]),
    insights,
    settings,
  ]),
])

export const router = createRouter({
  routeTree,
  defaultPreload: 'intent',
  scrollRestoration: false,
  // As people write them: ?q=printer, not ?q=%22printer%22.
  parseSearch: (search) => Object.fromEntries(new URLSearchParams(search)),
  stringifySearch: (search) => query(search as Record<string, string | undefined>),
  defaultErrorComponent: ({ error, reset }) => <Failed error={error} retry={reset} />,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}

// Whether there is a session at all is asked anew; the shell leads to the door where there is none.
whenSignedOut(() => void queryClient.resetQueries({ queryKey: sessionQuery.queryKey, exact: true }))

function NotFound() {
  return (
    <Page title="Not found">
      <Empty icon="search" title="There is no such page">
        <Link to="/tickets" search={{}} className={`mt-2 ${buttonClass()}`}>
          Go to the tickets
        </Link>
      </Empty>
    </Page>
  )
}
