import { useCallback, useRef, useState } from 'react'

import type { ListedTicket } from '../api/types.ts'

/** Which rows are chosen; with Shift, all from the one before. */
export function useSelection(tickets: ListedTicket[]) {
  const [selected, setSelected] = useState<ReadonlySet<number>>(new Set())
  const last = useRef<number | null>(null)
  const shown = useRef(tickets)
  shown.current = tickets

  const select = useCallback((id: number, isRange: boolean) => {
    setSelected((before) => {
      const next = new Set(before)
      const rows = shown.current
      const from = isRange && last.current !== null ? rows.findIndex((row) => row.id === last.current) : -1
      if (from >= 0) {
        const to = rows.findIndex((row) => row.id === id)
        for (const row of rows.slice(Math.min(from, to), Math.max(from, to) + 1)) next.add(row.id)
      } else if (!next.delete(id)) next.add(id)
      return next
    })
    queueMicrotask(() => (last.current = id))
  }, [])
  const clear = useCallback(() => setSelected(new Set()), [])
  const selectAll = useCallback(() => setSelected(new Set(shown.current.map(({ id }) => id))), [])
  return { selected, select, clear, selectAll }
}
