import { useMutation } from '@tanstack/react-query'

import { api } from '../api/client.ts'
import type { Ticket } from '../api/types.ts'
import { say } from '../parts/toast.tsx'

export const mergeTicket = (id: number, into: number) =>
  api<Ticket>(`/api/tickets/${id}/merge`, { method: 'POST', body: { into } })

export const unmergeTicket = (id: number) => api<Ticket>(`/api/tickets/${id}/unmerge`, { method: 'POST' })

const failed = (error: Error) => say({ tone: 'bad', text: error.message })

/** Merges one ticket, and undoes it; `onChanged` is told how it then is. */
export function useMerging(onChanged: (ticket: Ticket) => void) {
  const unmerging = useMutation({
    mutationFn: unmergeTicket,
    onSuccess: (ticket) => {
      onChanged(ticket)
      say({ text: `#${ticket.id} stands for itself again, ${ticket.status} as before` })
    },
    onError: failed,
  })
  const merging = useMutation({
    mutationFn: ({ id, into }: { id: number; into: number }) => mergeTicket(id, into),
    onSuccess: (ticket, { into }) => {
      onChanged(ticket)
      const undo = () => unmerging.mutate(ticket.id)
      say({ text: `#${ticket.id} is merged into #${into}`, action: { label: 'Undo', act: undo } })
    },
    onError: failed,
  })
  return {
    isPending: merging.isPending || unmerging.isPending,
    merge: (id: number, into: number) => merging.mutate({ id, into }),
    unmerge: (id: number) => unmerging.mutate(id),
  }
}
