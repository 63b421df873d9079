import { type ComponentProps, type ReactNode, useId } from 'react'

import { Icon } from './icon.tsx'

export const inputClass =
  'h-8 w-full min-w-0 rounded-md border border-line-strong bg-pane px-2.5 text-sm text-ink placeholder:text-muted aria-invalid:border-bad'

/** A labelled control: `children` is given the ids to put on it. */
export function Field({
  label,
  hint,
  error,
  children,
}: {
  label: string
  hint?: ReactNode
  error?: string | null
  children: (wired: { id: string; 'aria-describedby'?: string; 'aria-invalid'?: true }) => ReactNode
}) {
  const id = useId()
  const about = error || hint ? `${id}-about` : undefined
  return (
    <div className="flex flex-col gap-1">
      <label htmlFor={id} className="text-sm font-medium">
        {label}
      </label>
      {children({ id, ...(about && { 'aria-describedby': about }), ...(error && { 'aria-invalid': true as const }) })}
      {about && (
        <p id={about} className={`text-sm ${error ? 'text-bad' : 'text-muted'}`}>
          {error || hint}
        </p>
      )}
    </div>
  )
}

export function Input({ className = '', ...props }: ComponentProps<'input'>) {
  return <input className={`${inputClass} ${className}`} {...props} />
}

/** The browser's own, as it works everywhere and by every means of input; only its arrow is ours. */
export function Select({ className = '', ...props }: ComponentProps<'select'>) {
  return (
    <span className={`relative inline-flex min-w-0 ${className}`}>
      <select className={`${inputClass} appearance-none truncate pr-7`} {...props} />
      <Icon name="down" className="pointer-events-none absolute top-1/2 right-2 size-3 -translate-y-1/2 text-muted" />
    </span>
  )
}
