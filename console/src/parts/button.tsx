import type { ComponentProps } from 'react'

const LOOKS = {
  plain: 'border border-line bg-pane text-ink hover:bg-raised active:bg-line',
  main: 'border border-transparent bg-accent text-on-accent hover:bg-accent-strong',
  quiet: 'border border-transparent text-muted hover:bg-raised hover:text-ink',
  danger: 'border border-line bg-pane text-bad hover:bg-bad-soft',
} as const

const SIZES = { md: 'h-8 px-3 text-sm gap-2', sm: 'h-7 px-2 text-sm gap-1.5', icon: 'size-8' } as const

export const buttonClass = (look: keyof typeof LOOKS = 'plain', size: keyof typeof SIZES = 'md') =>
  `inline-flex shrink-0 items-center justify-center rounded-md font-medium whitespace-nowrap transition-colors select-none disabled:opacity-50 disabled:pointer-events-none ${LOOKS[look]} ${SIZES[size]}`

/** One `main` on a view; an `icon` has an `aria-label`. */
export function Button({
  look = 'plain',
  size = 'md',
  className = '',
  ...props
}: ComponentProps<'button'> & { look?: keyof typeof LOOKS; size?: keyof typeof SIZES }) {
  return <button type="button" className={`${buttonClass(look, size)} ${className}`} {...props} />
}
