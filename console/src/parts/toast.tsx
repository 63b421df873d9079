import { useSyncExternalStore } from 'react'

import { Button } from './button.tsx'
import { Icon } from './icon.tsx'

type Toast = {
  id: number
  text: string
  tone: 'plain' | 'bad'
  action?: { label: string; act: () => void } | undefined
}

const SHOWN_MS = 8_000
let toasts: readonly Toast[] = []
let nextId = 1
const watchers = new Set<() => void>()

function set(next: readonly Toast[]): void {
  toasts = next
  for (const watcher of watchers) watcher()
}

const drop = (id: number) => set(toasts.filter((toast) => toast.id !== id))

/** Says something in passing; with an action (Undo) it can be taken back while it is shown. */
export function say({
  text,
  tone = 'plain',
  action,
}: {
  text: string
  tone?: Toast['tone']
  action?: Toast['action']
}) {
  const id = nextId++
  set([...toasts.slice(-2), { id, text, tone, action }])
  setTimeout(() => drop(id), SHOWN_MS)
}

const watch = (watcher: () => void) => {
  watchers.add(watcher)
  return () => void watchers.delete(watcher)
}

/** Shown by the shell, once. */
export function Toasts() {
  const shown = useSyncExternalStore(watch, () => toasts)
  return (
    <section
      aria-label="Messages"
      aria-live="polite"
      className="pointer-events-none fixed inset-x-4 bottom-29 z-50 flex flex-col items-center gap-2 md:bottom-16"
    >
      {shown.map(({ id, text, tone, action }) => (
        <div
          key={id}
          className="pointer-events-auto flex max-w-full items-center gap-2 rounded-lg border border-line bg-pane py-1.5 pr-1.5 pl-4 text-sm shadow-pop"
        >
          <span className={`min-w-0 wrap-anywhere ${tone === 'bad' ? 'text-bad' : ''}`}>{text}</span>
          {action && (
            <Button
              size="sm"
              look="quiet"
              className="text-accent"
              onClick={() => {
                drop(id)
                action.act()
              }}
            >
              {action.label}
            </Button>
          )}
          <Button size="sm" look="quiet" aria-label="Dismiss" onClick={() => drop(id)}>
            <Icon name="close" className="size-3.5" />
          </Button>
        </div>
      ))}
    </section>
  )
}
