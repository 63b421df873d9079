import { type ReactNode, useEffect } from 'react'

/** A page: its title (the document's too), what can be done on it, and a body that scrolls. */
export function Page({ title, actions, children }: { title: string; actions?: ReactNode; children: ReactNode }) {
  useTitle(title)
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <header className="flex min-h-14 flex-wrap items-center gap-2 border-b border-line bg-pane px-4 py-2 md:px-6">
        <h1 className="min-w-0 flex-1 basis-24 truncate text-lg font-semibold" title={title}>
          {title}
        </h1>
        {actions}
      </header>
      <div className="min-h-0 flex-1 overflow-auto">{children}</div>
    </div>
  )
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · TicketFlow`
  }, [title])
}
