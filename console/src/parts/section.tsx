import type { ReactNode } from 'react'

/** A part of a page with a name of its own. */
export function Section({
  title,
  about,
  action,
  children,
}: {
  title: string
  about?: ReactNode
  action?: ReactNode
  children: ReactNode
}) {
  return (
    <section aria-label={title} className="flex flex-col gap-3 rounded-xl border border-line bg-pane p-4">
      <div className="flex items-start gap-3">
        <div className="min-w-0 flex-1">
          <h2 className="font-semibold">{title}</h2>
          {about && <p className="text-sm text-muted">{about}</p>}
        </div>
        {action}
      </div>
      {children}
    </section>
  )
}
