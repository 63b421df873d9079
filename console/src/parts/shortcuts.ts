import { useEffect, useRef, useSyncExternalStore } from 'react'

const KEY = 'ticketflow.shortcuts'
const watchers = new Set<() => void>()
let areOn = read()

function read(): boolean {
  try {
    return localStorage.getItem(KEY) !== 'off'
  } catch {
    return true
  }
}

function setOn(next: boolean): void {
  areOn = next
  for (const tell of watchers) tell()
  try {
    localStorage.setItem(KEY, next ? 'on' : 'off')
  } catch {
    // Storage may be forbidden: it lasts as long as the page.
  }
}

/** Single keys can be turned off: who speaks to the machine, or types with a switch, sets them off by accident. */
export function useShortcutsOn(): [boolean, (on: boolean) => void] {
  const on = useSyncExternalStore(
    (tell) => {
      watchers.add(tell)
      return () => void watchers.delete(tell)
    },
    () => areOn,
  )
  return [on, setOn]
}

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable ||
    target.matches('input:not([type=checkbox]), textarea, select, [role=menu], [role=menu] *, dialog *'))

/**
 * Keys of a page, by `event.key`; `mod+k` is with Ctrl or ⌘, and works while typing too. Nothing else does, and single
 * keys can be turned off.
 */
export function useShortcuts(keys: Record<string, (event: KeyboardEvent) => void>): void {
  const latest = useRef(keys)
  useEffect(() => {
    latest.current = keys
  })
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.altKey) return
      const hasMod = event.ctrlKey || event.metaKey
      const act = latest.current[hasMod ? `mod+${event.key.toLowerCase()}` : event.key]
      if (act === undefined) return
      if (!hasMod && (isTyping(event.target) || (event.key.length === 1 && !areOn))) return
      event.preventDefault()
      act(event)
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [])
}
