import type { ReactNode } from 'react'

import type { Priority, Status } from '../api/types.ts'

const TONES = {
  plain: 'bg-raised text-muted',
  accent: 'bg-accent-soft text-accent-strong',
  good: 'bg-good-soft text-good',
  warn: 'bg-warn-soft text-warn',
  bad: 'bg-bad-soft text-bad',
} as const

export type Tone = keyof typeof TONES

export function Badge({ tone = 'plain', children }: { tone?: Tone; children: ReactNode }) {
  return (
    <span
      className={`inline-flex h-5 items-center rounded px-1.5 text-xs font-medium whitespace-nowrap ${TONES[tone]}`}
    >
      {children}
    </span>
  )
}

const STATUS_TONES = { new: 'accent', open: 'accent', pending: 'warn', resolved: 'good', closed: 'plain' } as const
const PRIORITY_TONES = { urgent: 'bad', high: 'warn', medium: 'plain', low: 'plain' } as const

export const StatusBadge = ({ status }: { status: Status }) => <Badge tone={STATUS_TONES[status]}>{status}</Badge>
export const PriorityBadge = ({ priority }: { priority: Priority }) => (
  <Badge tone={PRIORITY_TONES[priority]}>{priority}</Badge>
)
