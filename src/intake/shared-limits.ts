import type { Limits, Passed } from './limits.ts'

/** Carries short messages between nodes; this node hears its own too. */
type Bus = {
  publish: (topic: string, message?: string) => Promise<void>
  subscribe: (topic: string, listener: (message: string | null) => void) => () => void
}

const TOPIC = 'limits'
/** How long a node may not know yet what passed at another. */
const TELL_MS = 250
/** A message holds 7,000 bytes; a sender's name and numbers take up to 200. */
const PIECE = 30
/** So many messages at a time: who comes by more senders than that is counted by each node alone. */
const PIECES = 20

/** Makes the limits of all nodes one: each tells the others four times a second what passed. Returns how to stop. */
export function shareLimits(limits: Pick<Limits, 'drain' | 'add'>, bus: Bus, node: string): () => void {
  const stop = bus.subscribe(TOPIC, (message) => {
    if (message === null) return
    const { from, passed } = JSON.parse(message) as { from: string; passed: Passed[] } // written below
    if (from !== node) for (const one of passed) limits.add(one, Date.now())
  })
  const timer = setInterval(() => {
    const passed = limits.drain().filter(({ sender }) => sender.length <= 100)
    for (let start = 0; start < Math.min(passed.length, PIECE * PIECES); start += PIECE) {
      // What cannot be told is counted by each node alone meanwhile.
      bus.publish(TOPIC, JSON.stringify({ from: node, passed: passed.slice(start, start + PIECE) })).catch(() => {})
    }
  }, TELL_MS)
  timer.unref()
  return () => {
    stop()
    clearInterval(timer)
  }
}
