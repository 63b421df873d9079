import { PRIORITIES } from '../core/priority.ts'
import type { State } from './drill-judge.ts'
import type { Change, Delivery, Sender } from './drill-senders.ts'

type Random = () => number

const OPEN_TICKETS = 32
const TWICE_AT_ONCE = 0.05
const AGAIN_LATER = 0.05
/** How many deliveries wait to be sent again: at five in a hundred, about a thousand others come between. */
const WAITING = 50
const SHUFFLED = 0.3
/** Of what is sent again, how much goes out under another delivery id. */
export const RENEWED = 0.2

const STATUSES = ['open', 'pending', 'resolved'] as const

/** The life of one ticket at its sender: it is made, then changed and commented on some times. */
function lifeOf(ticket: number, random: Random, now: number): Change[] {
  const start = Math.floor(now / 1000) * 1000 - 3_600_000
  const state: State = { priority: pick(PRIORITIES, random), status: 'new' }
  let last: Change = { what: 'created', version: 0, at: start, before: state, state, comment: null }
  const life = [last]
  for (let more = Math.floor(random() * 6); more > 0; more -= 1) {
    last = next(last, `Comment ${last.version + 1} on ticket ${ticket} of the drill`, random)
    life.push(last)
  }
  return life
}

function next({ version, at, state, comment }: Change, words: string, random: Random): Change {
  const what = pick(['priority', 'status', 'comment'] as const, random)
  const later = { what, version: version + 1, at: at + 60_000, before: state }
  if (what === 'comment') return { ...later, state, comment: words }
  const changed =
    what === 'priority'
      ? { priority: pick(without(PRIORITIES, state.priority), random) }
      : { status: pick(without(STATUSES, state.status), random) }
  return { ...later, state: { ...state, ...changed }, comment }
}

const without = <T>(values: readonly T[], value: unknown): T[] => values.filter((one) => one !== value)

function pick<T>(values: readonly T[], random: Random): T {
  const value = values[Math.floor(random() * values.length)]
  if (value === undefined) throw new Error('nothing to pick from')
  return value
}

type Life = { reached: number; left: { version: number; delivery: Delivery }[] }

/**
 * What is to be sent, one delivery after the other: the lives of several tickets at a time, some of them out of order,
 * some deliveries twice at once, some again much later. After `finish` no ticket is begun; null when all was handed out.
 */
export function createWork(senders: readonly Sender[], random: Random = Math.random) {
  const open: Life[] = []
  const again: Delivery[] = []
  const counts = { duplicates: 0, reordered: 0 }
  let twin: Delivery | null = null
  let tickets = 0
  let wanted = OPEN_TICKETS

  function begin(): void {
    tickets += 1
    const ticket = 1_000_000 + tickets
    const send = pick(senders, random)
    const life = lifeOf(ticket, random, Date.now())
    const ordered = random() < SHUFFLED ? shuffled(life, random) : life
    const left = ordered.map((change) => ({ version: change.version, delivery: send(ticket, change) }))
    open.push({ reached: -1, left })
  }

  function take(): Delivery | null {
    const life = open.length === 0 ? undefined : pick(open, random)
    const first = life?.left.shift()
    if (life === undefined || first === undefined) return null
    if (first.version < life.reached) counts.reordered += 1
    life.reached = Math.max(life.reached, first.version)
    if (life.left.length === 0) open.splice(open.indexOf(life), 1)
    return first.delivery
  }

  function repeated(delivery: Delivery | undefined): Delivery | null {
    if (delivery === undefined) return null
    counts.duplicates += 1
    return random() < RENEWED ? delivery.renewed() : delivery
  }

  function nextDelivery(): Delivery | null {
    if (twin !== null) {
      const second = twin
      twin = null
      return repeated(second)
    }
    if (again.length > WAITING) return repeated(again.shift())
    while (open.length < wanted) begin()
    const delivery = take()
    if (delivery === null) return repeated(again.shift())
    const chance = random()
    if (chance < TWICE_AT_ONCE) twin = delivery
    else if (chance < TWICE_AT_ONCE + AGAIN_LATER) again.push(delivery)
    return delivery
  }

  return { next: nextDelivery, finish: () => void (wanted = 0), counts }
}

export type Work = ReturnType<typeof createWork>

function shuffled<T>(values: readonly T[], random: Random): T[] {
  return values
    .map((value) => ({ value, place: random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ value }) => value)
}
