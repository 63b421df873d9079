import { Link, Navigate, useMatch, useNavigate, useSearch } from '@tanstack/react-router'
import { lazy, Suspense, useCallback, useRef, useState } from 'react'

import { useQuery } from '@tanstack/react-query'
import { may, sessionQuery } from '../api/session.ts'
import { Button, buttonClass } from '../parts/button.tsx'
import { counted } from '../parts/counted.ts'
import { Icon } from '../parts/icon.tsx'
import { useMedia } from '../parts/media.ts'
import { useTitle } from '../parts/page.tsx'
import { useShortcuts } from '../parts/shortcuts.ts'
import { Empty, Failed, Loading } from '../parts/state.tsx'
import { useBulk } from './bulk.ts'
import { BulkBar, CLOSE } from './bulk-bar.tsx'
import { Detail } from './detail.tsx'
import { List, type ListHandle } from './list.tsx'
import { useTicketList } from './list-data.ts'
import { ROW } from './row.tsx'
import type { TicketSearch } from './search.ts'
import { useSelection } from './selection.ts'
import { Toolbar } from './toolbar.tsx'
import { ViewMenu } from './view-menu.tsx'

const Palette = lazy(() => import('./palette.tsx'))
const Help = lazy(() => import('./help.tsx'))

/** The queue: a list, and beside it the ticket that is open. */
export function TicketsPage() {
  const search = useSearch({ from: '/shell/tickets' })
  const match = useMatch({ from: '/shell/tickets/$ticketId', shouldThrow: false })
  const open = match === undefined ? null : Number(match.params.ticketId)
  const navigate = useNavigate()
  const isRoomy = useMedia('(min-width: 1100px)')
  const isWide = useMedia('(min-width: 768px)') && open === null
  const [dialog, setDialog] = useState<'palette' | 'help' | null>(null)
  const field = useRef<HTMLInputElement>(null)
  const handle = useRef<ListHandle>(null)
  const { data: session } = useQuery(sessionQuery)
  const mayWrite = may(session, 'write')

  const list = useTicketList(
    search,
    useCallback(() => handle.current !== null && !handle.current.isAtTop(), []),
  )
  const { tickets, found, take } = list
  const { selected, select, clear, selectAll } = useSelection(tickets)
  const [current, setCurrent] = useState<number | null>(null)
  const bulk = useBulk(take)
  useTitle(open === null ? 'Tickets' : `#${open}`)

  const show = (id: number | null) =>
    id === null
      ? navigate({ to: '/tickets', search })
      : navigate({ to: '/tickets/$ticketId', params: { ticketId: String(id) }, search })
  const setSearch = useCallback(
    (next: TicketSearch) => {
      clear()
      setCurrent(null)
      handle.current?.toTop()
      void navigate({ to: '.', search: next, replace: true })
    },
    [navigate, clear],
  )

  const step = (by: number) => {
    const at = tickets.findIndex(({ id }) => id === (current ?? open))
    const next = tickets[at < 0 ? 0 : Math.min(tickets.length - 1, Math.max(0, at + by))]
    if (next === undefined) return
    setCurrent(next.id)
    handle.current?.focus(next.id)
    if (open !== null) void show(next.id)
  }
  /** What a key acts on: the selected ones, else the one that is open or that the keyboard stands on. */
  const targets = () => {
    if (selected.size > 0) return tickets.filter(({ id }) => selected.has(id))
    const one = tickets.find(({ id }) => id === (open ?? current))
    return one ? [one] : []
  }
  const close = () => {
    const toClose = mayWrite ? targets().filter(({ status }) => status !== 'closed') : []
    void bulk.apply(toClose, ...CLOSE)
  }
  useShortcuts({
    j: () => step(1),
    k: () => step(-1),
    x: () => current !== null && select(current, false),
    e: close,
    Enter: () => {
      if (current !== null && document.activeElement === document.body) void show(current)
      else (document.activeElement as HTMLElement | null)?.click()
    },
    '/': () => field.current?.focus(),
    '?': () => setDialog('help'),
    'mod+k': () => setDialog('palette'),
    Escape: () => {
      if (open === null) return clear()
      void show(null)
      // Back to where it was opened from.
      setCurrent(open)
      requestAnimationFrame(() => handle.current?.focus(open))
    },
  })

  const isFiltered = Object.keys(search).length > 0
  const isEmpty = found.isSuccess && tickets.length === 0 && !found.isPlaceholderData
  if (isEmpty && !isFiltered && open === null) return <Navigate to="/welcome" replace />

  const isListShown = open === null || isRoomy
  return (
    <div className="flex min-h-0 flex-1">
      <h1 className="sr-only">Tickets</h1>
      {isListShown && (
        <section
          aria-label="Queue"
          className={`flex min-h-0 min-w-0 flex-col ${open === null ? 'flex-1' : 'w-112 shrink-0 border-r border-line'}`}
        >
          <header className="flex min-h-14 items-center gap-1 bg-pane px-4 pt-1 md:px-6">
            <ViewMenu search={search} onSearch={setSearch} />
            <p role="status" className="mr-auto ml-1 text-sm text-muted tabular-nums">
              {found.isSuccess && !found.isPlaceholderData && loaded(tickets.length, found.hasNextPage)}
            </p>
            {open === null && (
              <Link
                to="/welcome"
                className={`${buttonClass('quiet', 'icon')}`}
                aria-label="Send a test ticket"
                title="Send a test ticket"
              >
                <Icon name="send" />
              </Link>
            )}
            <Button
              look="quiet"
              size="icon"
              className="hidden! md:inline-flex!"
              aria-label="Keyboard shortcuts"
              title="Keyboard shortcuts (?)"
              onClick={() => setDialog('help')}
            >
              <Icon name="keyboard" />
            </Button>
            <Button
              look="quiet"
              size="sm"
              className="hidden! md:inline-flex!"
              title="Commands"
              onClick={() => setDialog('palette')}
            >
              <span className="sr-only">Commands</span>
              <kbd className="font-sans text-xs">{/Mac|iPhone|iPad/.test(navigator.userAgent) ? '⌘K' : 'Ctrl K'}</kbd>
            </Button>
          </header>
          <Toolbar search={search} tickets={tickets} field={field} onSearch={setSearch} isNarrow={open !== null} />
          {found.isPending && <Loading rows={14} height={isWide ? ROW.wide : ROW.narrow} />}
          {found.isError && tickets.length === 0 && <Failed error={found.error} retry={() => void found.refetch()} />}
          {isEmpty && (
            <Empty icon="search" title="No ticket matches">
              {isFiltered && (
                <Button className="mt-2" onClick={() => setSearch({})}>
                  Clear the filters
                </Button>
              )}
            </Empty>
          )}
          {tickets.length > 0 && (
            <List
              handle={handle}
              list={list}
              search={search}
              isWide={isWide}
              current={current}
              open={open}
              selected={selected}
              errors={bulk.errors}
              onSelect={select}
              onFocus={setCurrent}
              onOpen={(id) => void show(id)}
            />
          )}
          {(selected.size > 0 || bulk.progress !== null) && (
            <BulkBar
              count={selected.size}
              loaded={tickets.length}
              progress={bulk.progress}
              mayWrite={mayWrite}
              onApply={(change, words) => void bulk.apply(targets(), change, words)}
              proposed={oldestOf(targets())}
              onMerge={(into) => void bulk.merge(targets(), into)}
              onSelectAll={selectAll}
              onClear={clear}
            />
          )}
        </section>
      )}
      {open !== null && (
        <Detail
          key={open}
          id={open}
          search={search}
          mayWrite={mayWrite}
          onChanged={take}
          onClose={() => void show(null)}
        />
      )}
      <Suspense>
        {dialog === 'palette' && (
          <Palette
            onClose={() => setDialog(null)}
            onSearch={setSearch}
            onHelp={() => setDialog('help')}
            actions={mayWrite && targets().length > 0 ? [{ label: `Close ${names(targets())}`, act: close }] : []}
          />
        )}
        {dialog === 'help' && <Help onClose={() => setDialog(null)} />}
      </Suspense>
    </div>
  )
}

/** The one that the others probably repeat; '' where there is nothing to choose from. */
const oldestOf = (tickets: { id: number }[]) => (tickets.length < 2 ? '' : Math.min(...tickets.map(({ id }) => id)))

const loaded = (count: number, isMore: boolean) => `${count.toLocaleString('en')}${isMore ? '+' : ''}`

const names = (tickets: { id: number }[]) =>
  tickets.length === 1 ? `#${tickets[0]?.id}` : counted(tickets.length, 'ticket')
