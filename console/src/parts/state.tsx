import type { ReactNode } from 'react'

import { ApiError } from '../api/client.ts'
import { Button } from './button.tsx'
import { Icon, type IconName } from './icon.tsx'

/** Where a view has nothing to show: what would be here, and how it gets here. */
export function Empty({ icon = 'inbox', title, children }: { icon?: IconName; title: string; children?: ReactNode }) {
  return (
    <div className="mx-auto flex max-w-sm flex-col items-center gap-2 px-6 py-16 text-center">
      <Icon name={icon} className="size-6 text-muted" />
      <p className="font-medium">{title}</p>
      <div className="text-sm text-muted">{children}</div>
    </div>
  )
}

/** A failed view: the server's own sentence, and another try. */
export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  const isRefusal = error instanceof ApiError && error.status === 403
  return (
    <div role="alert" className="mx-auto flex max-w-md flex-col items-center gap-2 px-6 py-16 text-center">
      <Icon name="warn" className="size-6 text-bad" />
      <p className="font-medium">{isRefusal ? 'This key may not see that' : 'That did not work'}</p>
      <p className="text-sm text-muted">{error instanceof Error ? error.message : String(error)}</p>
      {retry && <Button onClick={retry}>Try again</Button>}
    </div>
  )
}

/** Rows of the height of what will come, so that nothing moves when it does. */
export function Loading({ rows = 8, height = 40 }: { rows?: number; height?: number }) {
  return (
    <div role="status" className="w-full">
      <span className="sr-only">Loading</span>
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="flex items-center px-4" style={{ height }}>
          <div className="h-3 animate-pulse rounded bg-raised" style={{ width: `${70 - ((row * 13) % 40)}%` }} />
        </div>
      ))}
    </div>
  )
}
