import type { Priority } from '../core/priority.ts'
import type { Status } from '../core/ticket.ts'

export type State = { priority: Priority; status: Status }

/** What one delivery says of its ticket. */
export type Told = {
  platform: string
  /** As the ticket's metadata shows it. */
  externalId: string
  /** When the sender changed the ticket, in ms since the epoch: no two changes of a ticket have the same. */
  at: number
  /** Null where this sender's delivery does not order changes, as Jira's comments do not. */
  state: State | null
  /** In words that no other comment of the drill has. */
  comment: string | null
}

/** What the senders of one ticket were answered, and so what the store owes them. */
type Owed = {
  platform: string
  externalId: string
  numbers: Set<number>
  newest: { at: number; state: State } | null
  comments: Set<string>
}

export type Ledger = Map<string, Owed>

export type StoredTicket = State & { id: number; platform: string | null; externalId: string | null }

type Fault = { kind: 'lost' | 'doubled' | 'stale'; what: string }

export type Judgement = {
  /** Tickets that a sender was answered with. */
  acknowledged: number
  /** Tickets that the store holds. */
  stored: number
  lost: number
  doubled: number
  /** Tickets whose priority or status is not that of the newest change. */
  stale: number
  faults: Fault[]
}

/** Puts an answered delivery on record, with the number of the ticket that it was answered with. */
export function acknowledge(ledger: Ledger, told: Told, number: number): void {
  const { platform, externalId, at, state, comment } = told
  const key = keyOf(platform, externalId)
  const owed = ledger.get(key) ?? { platform, externalId, numbers: new Set(), newest: null, comments: new Set() }
  ledger.set(key, owed)
  owed.numbers.add(number)
  if (comment !== null) owed.comments.add(comment)
  if (state !== null && (owed.newest === null || at > owed.newest.at)) owed.newest = { at, state }
}

/** Holds what is stored against what was acknowledged. `timelines` has the comments of each ticket by its number. */
export function judge(
  ledger: Ledger,
  tickets: readonly StoredTicket[],
  timelines: ReadonlyMap<number, readonly string[]>,
): Judgement {
  const stored = Map.groupBy(tickets, ({ platform, externalId }) => keyOf(platform, externalId))
  const faults = [
    ...[...ledger].flatMap(([key, owed]) => faultsOf(owed, stored.get(key) ?? [], timelines)),
    ...tickets
      .filter((ticket) => owedFor(ledger, ticket) === undefined)
      .map(({ id, platform, externalId }) =>
        fault('doubled', `Ticket ${id} (${platform} ${externalId}) is one that no sender was answered with`),
      ),
  ]
  const number = (kind: Fault['kind']) => faults.filter((one) => one.kind === kind).length
  return {
    acknowledged: ledger.size,
    stored: tickets.length,
    lost: number('lost'),
    doubled: number('doubled'),
    stale: number('stale'),
    faults,
  }
}

function faultsOf(
  owed: Owed,
  found: readonly StoredTicket[],
  timelines: ReadonlyMap<number, readonly string[]>,
): Fault[] {
  const name = `${owed.platform} ${owed.externalId}`
  const ids = found.map(({ id }) => id)
  const missing = [...owed.numbers].filter((number) => !ids.includes(number))
  const lost = missing.map((number) =>
    fault(
      'lost',
      `${name} was acknowledged as ticket ${number} and ${ids.length === 0 ? 'is not there' : `is ${ids}`}`,
    ),
  )
  const doubled = ids.slice(1).map((id) => fault('doubled', `${name} is ticket ${ids[0]} and ticket ${id}`))
  const [ticket] = found
  if (ticket === undefined) return lost
  const said = found.flatMap(({ id }) => timelines.get(id) ?? [])
  return [...lost, ...doubled, ...commentFaults(name, owed, said), ...stateFaults(name, owed, ticket)]
}

function commentFaults(name: string, { comments }: Owed, said: readonly string[]): Fault[] {
  return [...comments].flatMap((comment) => {
    const times = said.filter((one) => one === comment).length
    if (times === 0) return fault('lost', `${name}: “${comment}” was acknowledged and is not on the timeline`)
    return times === 1 ? [] : fault('doubled', `${name}: “${comment}” is on the timeline ${times} times`)
  })
}

function stateFaults(name: string, { newest }: Owed, { id, priority, status }: StoredTicket): Fault[] {
  if (newest === null) return []
  const { state } = newest
  if (state.priority === priority && state.status === status) return []
  const is = `${priority} and ${status}`
  return [
    fault('stale', `${name}, ticket ${id}, is ${is}; its newest change said ${state.priority} and ${state.status}`),
  ]
}

const fault = (kind: Fault['kind'], what: string): Fault => ({ kind, what })

/** What the store owes for a ticket of this identity; undefined where no sender was answered with one. */
export const owedFor = (ledger: Ledger, { platform, externalId }: Pick<StoredTicket, 'platform' | 'externalId'>) =>
  ledger.get(keyOf(platform, externalId))

const keyOf = (platform: string | null, externalId: string | null) => `${platform} ${externalId}`
