import { type ReactNode, useLayoutEffect, useRef } from 'react'

import { Button } from './button.tsx'
import { Icon } from './icon.tsx'

type DialogProps = {
  title: string
  onClose: () => void
  children: ReactNode
  /** Without the title's row; the title still names it. */
  bare?: boolean
}

/**
 * The browser's own modal: it keeps the focus and gives it back, closes on Escape and makes the rest inert. Radix's dialog
 * does so too, but styles the page by a <style> element, which the policy forbids.
 */
export function Dialog({ open, ...props }: DialogProps & { open: boolean }) {
  return open ? <Modal {...props} /> : null
}

function Modal({ title, onClose, children, bare = false }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null)
  useLayoutEffect(() => {
    const dialog = ref.current
    dialog?.showModal()
    // Where it asks for something one types at once; else the browser's own choice is right.
    dialog?.querySelector<HTMLElement>('input:not([type=checkbox]), textarea, select')?.focus()
    // One that is removed while it is open gives the focus to nobody.
    return () => dialog?.close()
  }, [])
  return (
    <dialog
      ref={ref}
      aria-label={title}
      onClose={onClose}
      onClick={(event) => event.target === event.currentTarget && event.currentTarget.close()}
      className="m-auto max-h-[85dvh] w-lg max-w-[calc(100vw-2rem)] overflow-auto rounded-xl border border-line bg-pane text-ink shadow-pop"
    >
      {!bare && (
        <div className="flex items-center justify-between border-b border-line py-2 pr-2 pl-5">
          <h2 className="font-semibold">{title}</h2>
          <Button look="quiet" size="icon" aria-label="Close" onClick={() => ref.current?.close()}>
            <Icon name="close" />
          </Button>
        </div>
      )}
      <div className={bare ? '' : 'p-5'}>{children}</div>
    </dialog>
  )
}
