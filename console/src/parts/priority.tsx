import type { Priority } from '../api/types.ts'

const LEVEL = { low: 1, medium: 2, high: 3, urgent: 3 } as const

/** Bars that rise with it; the word is there for whoever does not see them. */
export function PriorityMark({ priority }: { priority: Priority }) {
  const colour = priority === 'urgent' ? 'fill-bad' : priority === 'high' ? 'fill-warn' : 'fill-muted'
  return (
    <span className="relative z-10 shrink-0" title={`${priority} priority`}>
      <svg viewBox="0 0 16 16" aria-hidden="true" className={`size-4 ${colour}`}>
        {[1, 2, 3].map((bar) => (
          <rect
            key={bar}
            x={bar * 4 - 2}
            y={13 - bar * 3}
            width="3"
            height={bar * 3}
            rx="0.75"
            opacity={bar <= LEVEL[priority] ? 1 : 0.25}
          />
        ))}
        {priority === 'urgent' && <circle cx="3.5" cy="4" r="2" />}
      </svg>
      <span className="sr-only">{priority} priority</span>
    </span>
  )
}
