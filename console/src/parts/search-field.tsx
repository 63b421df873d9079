import { type RefObject, useEffect, useId, useRef, useState } from 'react'

import { Input } from './field.tsx'
import { Icon } from './icon.tsx'

const TYPING_MS = 120

/** Types at once, and asks a moment later; an address that changes by other means (Back, a view) wins. */
export function SearchField({
  label,
  field,
  q,
  onSearch,
}: {
  label: string
  field?: RefObject<HTMLInputElement | null>
  q: string
  onSearch: (q: string) => void
}) {
  const [typed, setTyped] = useState(q)
  const asked = useRef(q)
  const id = useId()
  useEffect(() => {
    if (q !== asked.current) setTyped(q)
    asked.current = q
  }, [q])
  useEffect(() => {
    if (typed.trim() === asked.current) return
    const timer = setTimeout(() => {
      asked.current = typed.trim()
      onSearch(typed.trim())
    }, TYPING_MS)
    return () => clearTimeout(timer)
  })
  return (
    <div className="relative min-w-0 flex-1">
      <label htmlFor={id} className="sr-only">
        {label}
      </label>
      <Icon name="search" className="pointer-events-none absolute top-2 left-2.5 size-4 text-muted" />
      <Input
        id={id}
        {...(field && { ref: field })}
        type="search"
        value={typed}
        placeholder="Search all words, word* for a beginning"
        maxLength={500}
        onChange={(event) => setTyped(event.target.value)}
        onKeyDown={(event) => event.key === 'Escape' && event.currentTarget.blur()}
        className="pl-8"
      />
    </div>
  )
}
