import type { Bus } from './postgres-bus.ts'
import type { Changes, Witness } from './store.ts'

const TOPIC = 'changes'
/** Commits of this long are told of together: one NOTIFY for each would cost a quarter of what a node takes. */
const WINDOW_MS = 200
/** As many numbers are named; who listens asks for lists anew where there are more than it would show. */
const NAMED = 100

/** Tells all nodes, this one too, of what commits changed. */
export function createTeller(bus: Bus, witness: Witness | undefined) {
  const pending = { deliveries: new Set<number>(), tickets: new Set<number>() }
  let timer: NodeJS.Timeout | null = null
  const stop = bus.subscribe(TOPIC, (message) => {
    if (message !== null && witness?.isHeard()) witness.publish(JSON.parse(message) as Changes) // written below
  })

  function flush(): void {
    timer = null
    const changes = { deliveries: [...pending.deliveries], tickets: [...pending.tickets] }
    pending.deliveries.clear()
    pending.tickets.clear()
    // Where it cannot be told, nobody is told less than when the connection is lost: lists are read anew.
    bus.publish(TOPIC, JSON.stringify(changes)).catch(() => {})
  }

  return {
    told: ({ deliveries, tickets }: Changes): void => {
      for (const id of deliveries) if (pending.deliveries.size < NAMED) pending.deliveries.add(id)
      for (const id of tickets) if (pending.tickets.size < NAMED) pending.tickets.add(id)
      timer ??= setTimeout(flush, WINDOW_MS)
    },
    close: (): void => {
      stop()
      if (timer !== null) clearTimeout(timer)
    },
  }
}
