/**
 * Sends one ticket and prints what became of it. Node.js 24 runs it as it is:
 *
 *     node send-ticket.ts [http://localhost:8000]
 */
import { randomUUID } from 'node:crypto'

type Ticket = { id: number; title: string; priority: string; status: string }

const base = process.argv[2] ?? 'http://localhost:8000'

const response = await fetch(`${base}/api/integrations/webhook`, {
  method: 'POST',
  headers: {
    'content-type': 'application/json',
    // Keep the key with the ticket and send it in each attempt: there will be one ticket, however many attempts.
    'idempotency-key': randomUUID(),
  },
  body: JSON.stringify({
    title: 'App closes when I rotate the phone',
    description: 'Since version 4.2, each time.',
    category: 'technical',
    priority: 'medium',
    user_id: 'app-user-51',
    platform: 'mobile-app',
  }),
})

if (!response.ok) {
  const { detail } = (await response.json()) as { detail: string }
  console.error(`Refused with ${response.status}: ${detail}`)
  process.exit(1)
}

const ticket = (await response.json()) as Ticket
console.log(`Ticket ${ticket.id} (${ticket.priority}, ${ticket.status}): ${ticket.title}`)
