import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'

import { api } from '../api/client.ts'
import type { Delivery, Source } from '../api/operations.ts'
import { Button } from '../parts/button.tsx'
import { Icon } from '../parts/icon.tsx'
import { say } from '../parts/toast.tsx'
import { TEST_SENDERS } from '../welcome/senders.ts'

function trialOf(source: Source): { body: string; headers: Record<string, string> } {
  const now = new Date()
  const serial = now.getTime() % 1_000_000_000
  const sender = TEST_SENDERS.find(({ id }) => id === source.platform)
  if (sender !== undefined) {
    const { body, headers } = sender.build(serial, now)
    return { body: JSON.stringify(body), headers }
  }
  const body = {
    id: `test-${serial}`,
    title: `Test of ${source.name}`,
    description: 'Sent by the console to see that all is well.',
    priority: 'low',
  }
  return { body: JSON.stringify(body), headers: {} }
}

/** Sends a delivery in the name of the source, as its platform would. */
export function TryButton({ source }: { source: Source }) {
  const client = useQueryClient()
  const navigate = useNavigate()
  const attempt = useMutation({
    mutationFn: () => api<Delivery>(`/api/sources/${source.id}/try`, { method: 'POST', body: trialOf(source) }),
    onSuccess: (delivery) => {
      void client.invalidateQueries({ queryKey: ['deliveries'] })
      say({
        text:
          delivery.outcome === 'rejected'
            ? `The test was refused: ${delivery.reason}`
            : `The test was ${delivery.outcome}`,
        tone: delivery.outcome === 'rejected' ? 'bad' : 'plain',
        action: {
          label: 'Look',
          act: () =>
            void navigate({ to: '/deliveries/$deliveryId', params: { deliveryId: String(delivery.id) }, search: {} }),
        },
      })
    },
    onError: (error) => say({ text: error.message, tone: 'bad' }),
  })
  return (
    <Button onClick={() => attempt.mutate()} disabled={attempt.isPending || source.disabled_at !== null}>
      <Icon name="send" />
      {attempt.isPending ? 'Sending…' : 'Send a test'}
    </Button>
  )
}
