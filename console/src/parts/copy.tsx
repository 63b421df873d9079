import { useEffect, useState } from 'react'

import { Button } from './button.tsx'
import { Icon } from './icon.tsx'
import { say } from './toast.tsx'

/** `what` names it for those who do not see it: "ticket number". */
export function Copy({ text, what, label }: { text: string; what: string; label?: string }) {
  const [done, setDone] = useState(false)
  useEffect(() => {
    if (!done) return
    const timer = setTimeout(() => setDone(false), 1_500)
    return () => clearTimeout(timer)
  }, [done])
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text)
      setDone(true)
    } catch {
      // Only pages by TLS or of this machine may write there.
      say({ tone: 'bad', text: `This page may not copy; the ${what} is: ${text.slice(0, 200)}` })
    }
  }
  return (
    <Button look="quiet" size="sm" onClick={() => void copy()} {...(!label && { 'aria-label': `Copy ${what}` })}>
      <Icon name={done ? 'check' : 'copy'} className="size-3.5" />
      {label && <span>{done ? 'Copied' : label}</span>}
      <span role="status" className="sr-only">
        {done ? `${what} copied` : ''}
      </span>
    </Button>
  )
}
