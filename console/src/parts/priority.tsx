import type { Priority } from '../api/types.ts'

const LEVEL = { low: 1, medium: 2, high: 3, urgent: 3 } as const

/** Bars that rise with it, and a sign of its own for what cannot wait; the word is there for whoever does not see them. */
export function PriorityMark({ priority }: { priority: Priority }) {
  return (
    <span className="relative z-10 shrink-0" title={`${priority} priority`}>
      <svg viewBox="0 0 16 16" aria-hidden="true" className="size-4">
        {priority === 'urgent' ? (
          <>
            <rect x="1.5" y="1.5" width="13" height="13" rx="3" className="fill-bad" />
            <path d="M8 4.5v4M8 11.2v.01" className="stroke-pane" strokeWidth="1.8" strokeLinecap="round" />
          </>
        ) : (
          [1, 2, 3].map((bar) => (
            <rect
              key={bar}
              x={bar * 4 - 1.5}
              y={13.5 - bar * 3.5}
              width="3"
              height={bar * 3.5}
              rx="0.75"
              className={priority === 'high' ? 'fill-warn' : 'fill-muted'}
              opacity={bar <= LEVEL[priority] ? 1 : 0.25}
            />
          ))
        )}
      </svg>
      <span className="sr-only">{priority} priority</span>
    </span>
  )
}
