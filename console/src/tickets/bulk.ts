import { useCallback, useRef, useState } from 'react'

import { api, ApiError } from '../api/client.ts'
import { listed, type ListedTicket, type Ticket, type TicketChange } from '../api/types.ts'
import { counted } from '../parts/counted.ts'
import { say } from '../parts/toast.tsx'
import { mergeTicket, unmergeTicket } from './merging.ts'

/** As many at once as one browser opens connections, less those that the list and the events need. */
const AT_ONCE = 4

export type Progress = { done: number; total: number; what: string }

const changed = (ticket: ListedTicket, change: TicketChange): TicketChange =>
  Object.fromEntries(Object.keys(change).map((field) => [field, ticket[field as keyof TicketChange]]))

export const patchTicket = (id: number, change: TicketChange) =>
  api<Ticket>(`/api/tickets/${id}`, { method: 'PATCH', body: change })

/** What is done to each of many tickets, and how it is undone. */
type Deed = {
  send: (ticket: ListedTicket) => Promise<Ticket>
  undo: (ticket: ListedTicket) => Promise<Ticket>
  doing: string
  done: string
}

/**
 * Changes many tickets, a few at a time. Each that cannot be changed keeps its reason in `errors`; the rest can be undone
 * together. `onChanged` is told each ticket as it now is.
 */
export function useBulk(onChanged: (ticket: ListedTicket) => void) {
  const [progress, setProgress] = useState<Progress | null>(null)
  const [errors, setErrors] = useState<ReadonlyMap<number, string>>(new Map())
  const isRunning = useRef(false)

  const run = useCallback(
    async (work: { ticket: ListedTicket; send: () => Promise<Ticket> }[], what: string): Promise<ListedTicket[]> => {
      const done: ListedTicket[] = []
      const failed = new Map<number, string>()
      const left = [...work]
      setProgress({ done: 0, total: work.length, what })
      const worker = async () => {
        for (let next = left.shift(); next !== undefined; next = left.shift()) {
          const { ticket, send } = next
          try {
            onChanged(listed(await send()))
            done.push(ticket)
          } catch (error) {
            failed.set(ticket.id, error instanceof ApiError ? error.message : String(error))
          }
          setProgress({ done: done.length + failed.size, total: work.length, what })
        }
      }
      await Promise.all(Array.from({ length: AT_ONCE }, worker))
      setProgress(null)
      setErrors(failed)
      return done
    },
    [onChanged],
  )

  const perform = useCallback(
    async (tickets: ListedTicket[], { send, undo, doing, done: words }: Deed) => {
      if (isRunning.current || tickets.length === 0) return
      isRunning.current = true
      const work = tickets.map((ticket) => ({ ticket, send: () => send(ticket) }))
      const done = await run(work, doing).finally(() => (isRunning.current = false))
      const failed = tickets.length - done.length
      const undoAll = () =>
        void run(
          done.map((ticket) => ({ ticket, send: () => undo(ticket) })),
          'Undoing',
        ).then((undone) => say({ text: `${counted(undone.length, 'ticket')} as before` }))
      say({
        text: `${counted(done.length, 'ticket')} ${words}${failed > 0 ? `, ${failed} not: see the marked rows` : ''}`,
        tone: failed > 0 ? 'bad' : 'plain',
        ...(done.length > 0 && { action: { label: 'Undo', act: undoAll } }),
      })
    },
    [run],
  )

  const apply = (tickets: ListedTicket[], change: TicketChange, words: { doing: string; done: string }) =>
    perform(tickets, {
      send: ({ id }) => patchTicket(id, change),
      undo: (ticket) => patchTicket(ticket.id, changed(ticket, change)),
      ...words,
    })

  /** All but the one that they are merged into, where it is among them. */
  const merge = (tickets: ListedTicket[], into: number) =>
    perform(
      tickets.filter(({ id }) => id !== into),
      {
        send: ({ id }) => mergeTicket(id, into),
        undo: ({ id }) => unmergeTicket(id),
        doing: 'Merging',
        done: `merged into #${into}`,
      },
    )

  return { progress, errors, apply, merge }
}
