import { AppError } from '../core/errors.ts'
import type { NewDecision } from '../core/decision.ts'
import type { Remap } from '../core/rederive.ts'
import { wellFormed } from '../core/text.ts'
import type { Ticket, TicketChange } from '../core/ticket.ts'
import { type Client, fault, isConflict, isOutage, type Pool, query, transaction } from './postgres-connect.ts'
import type { MergeResult } from './merges.ts'
import { flush } from './postgres-flush.ts'
import { load, loadCauses, loadMerged, lockTickets, NOTHING, type Scope, scopeOf } from './postgres-load.ts'
import { OutOfNumbers, workingSet, type Written } from './postgres-tables.ts'
import type { Loaded } from './postgres-rows.ts'
import type { Submission } from './store.ts'
import { createRules, type Settled } from './submissions.ts'
import type { Verdict } from './tables.ts'

/** How often a group is tried when other nodes were quicker with a key, an identity or a lock. */
const ATTEMPTS = 5
/** So many of a group may be at fault before each is stored in a transaction of its own. */
const FAULTY = 5
/** A number that was taken and not needed is given to the next ticket if that comes this soon; else it is skipped. */
const SPARE_MS = 1000

/** The only code that writes tickets and deliveries. One group at a time in a lane; changes by people run beside it. */
export function createPostgresWriter(pool: Pool, node: string) {
  const spares = new Map<string, { ids: number[]; at: number }>()

  /** Stores a group of submissions in one transaction. Rejects, with nothing acknowledged, when it cannot commit. */
  async function submit(group: readonly Submission[], lane: number): Promise<Settled[]> {
    const submissions = group.map(cleaned)
    const chain = chainOf(node, lane)
    try {
      return await retrying(() => submitTogether(submissions, chain))
    } catch (error) {
      if (isOutage(error)) throw fault(error)
      // One of the group is at fault, and it must not take the others with it.
      return await submitApart(submissions, chain)
    }
  }

  async function submitApart(submissions: readonly Submission[], chain: string): Promise<Settled[]> {
    const settled: Settled[] = []
    for (const submission of submissions) {
      try {
        settled.push(...(await retrying(() => submitTogether([submission], chain))))
      } catch (error) {
        // What was committed before is acknowledged; the rest would only wait for the same.
        if (isOutage(error))
          return [...settled, ...submissions.slice(settled.length).map(() => ({ error: asError(fault(error)) }))]
        settled.push({ error: isConflict(error) ? new AppError('unavailable', BUSY) : asError(fault(error)) })
      }
    }
    return settled
  }

  function submitTogether(submissions: readonly Submission[], chain: string): Promise<Settled[]> {
    const scope = scopeOf(submissions)
    return transaction(pool, async (client) => {
      const [link, deliveryIds, rows] = await Promise.all([
        lockHead(client, chain),
        takeNumbers(client, 'delivery_ids', submissions.length),
        load(client, scope),
      ])
      const ticketIds = await numbersFor(client, { scope, rows, chain })
      for (;;) {
        try {
          const { settled, written } = settleAll(submissions, { ...rows, ticketIds, deliveryIds }, link)
          await flush(client, written, chain)
          spares.set(chain, { ids: ticketIds.slice(written.ticketIds), at: performance.now() })
          return settled
        } catch (error) {
          if (!(error instanceof OutOfNumbers)) throw error
          ticketIds.push(...(await takeNumbers(client, 'ticket_ids', scope.tickets)))
        }
      }
    })
  }

  /** As many numbers as tickets may be made; each is in one transaction's hands only, and lost when that fails. */
  async function numbersFor(
    client: Client,
    { scope, rows, chain }: { scope: Scope; rows: Pick<Loaded, 'tickets' | 'keys'>; chain: string },
  ): Promise<number[]> {
    const spare = spares.get(chain)
    const ids = spare !== undefined && performance.now() - spare.at < SPARE_MS ? spare.ids : []
    spares.delete(chain)
    const wanted = scope.tickets - rows.tickets.length - rows.keys.size - ids.length
    return [...ids, ...(wanted > 0 ? await takeNumbers(client, 'ticket_ids', wanted) : [])]
  }

  /** Applies a person's change; null when there is no such ticket. */
  async function changeTicket(id: number, change: TicketChange, by: Author): Promise<Ticket | null> {
    const category = change.category === undefined ? {} : { category: wellFormed(change.category) }
    return changing([id], (rules) => rules.change(id, { ...change, ...category }, by))
  }

  /** See merges.ts. Both rows are locked, always in the same order: of two merges that cross, the second sees the first. */
  function merge(id: number, into: number, by: Author): Promise<MergeResult | null> {
    return changing([id, into], (rules) => rules.merge(id, into, by), loadMerged)
  }

  function unmerge(id: number, by: Author): Promise<MergeResult | null> {
    return changing([id], (rules) => rules.unmerge(id, by))
  }

  /** All of them, or none. */
  function remap(remaps: readonly Remap[], by: Author): Promise<number> {
    const ids = [...new Set(remaps.map(({ ticketId }) => ticketId))]
    return changing(ids, (rules) => remaps.filter((one) => rules.remap(cleaned(one), by)).length)
  }

  /** See tickets.ts. The ticket's row is locked, so that a cause which is not decided then stays so until the commit. */
  function decide(decision: NewDecision): Promise<'decided' | 'repeated' | 'gone'> {
    return changing([decision.ticketId], (rules) => rules.decide(cleaned(decision)), loadCauses)
  }

  function judge(verdict: Verdict): Promise<boolean> {
    return changing([verdict.ticketId], (rules) => rules.judge(cleaned(verdict)))
  }

  async function changing<T>(
    ids: number[],
    work: (rules: ReturnType<typeof createRules>) => T,
    loadMore: (client: Client, ids: number[]) => Promise<Partial<Loaded>> = () => Promise.resolve({}),
  ): Promise<T> {
    try {
      return await retrying(() =>
        transaction(pool, async (client) => {
          const tickets = await lockTickets(client, ids)
          const { tables, written } = workingSet({ ...NOTHING, tickets, ...(await loadMore(client, ids)) })
          const result = work(createRules(tables, { delivery: 0, link: '' }))
          await flush(client, written, node)
          return result
        }),
      )
    } catch (error) {
      throw isConflict(error) ? new AppError('unavailable', BUSY) : fault(error)
    }
  }

  return { submit, changeTicket, merge, unmerge, decide, judge, remap }
}

/** Each lane has its own: a chain lets one at a time add to it. The first is the node's, the others begin when needed. */
const chainOf = (node: string, lane: number) => (lane === 0 ? node : `${node}.lane${lane + 1}`)

type Author = { at: number; actor: string }

const BUSY = 'Others were changing the same; send this one again'

/** Runs the rules over the group: once more when one is at fault, without it and what it wrote. */
function settleAll(
  submissions: readonly Submission[],
  loaded: Loaded,
  link: string,
): { settled: Settled[]; written: Written } {
  const faults = new Map<Submission, Error>()
  for (;;) {
    const { tables, written } = workingSet(loaded)
    const rules = createRules(tables, { delivery: 0, link })
    const settled = submissions.map((submission): Settled | null => {
      const error = faults.get(submission)
      return error === undefined ? attempt(submission) : { error }
    })
    if (!settled.includes(null)) return { settled: settled.flatMap((one) => one ?? []), written }

    function attempt(submission: Submission): Settled | null {
      try {
        return rules.settle(submission)
      } catch (error) {
        if (error instanceof OutOfNumbers || faults.size >= FAULTY) throw error
        faults.set(submission, asError(error))
        return null
      }
    }
  }
}

async function retrying<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      if (!isConflict(error) || attempt >= ATTEMPTS) throw error
    }
  }
}

/** Takes the node's chain for this transaction, and says where it ends. */
async function lockHead(client: Client, node: string): Promise<string> {
  const [row] = await query(client, 'select newest_link from nodes where id = $1 for update', [node])
  if (row !== undefined) return String(row['newest_link'])
  // Registered at the start, and lost since: a failover to a standby that had not heard of it yet.
  await query(client, 'insert into nodes (id) values ($1) on conflict do nothing', [node])
  return lockHead(client, node)
}

/** After the chain was taken, so that a node's numbers grow along its chain. */
async function takeNumbers(client: Client, sequence: 'ticket_ids' | 'delivery_ids', count: number): Promise<number[]> {
  const rows = await query(client, `select nextval('${sequence}') as id from generate_series(1, $1)`, [count])
  return rows.map((row) => Number(row['id']))
}

const asError = (error: unknown) => (error instanceof Error ? error : new Error(String(error)))

/** PostgreSQL has no text with a NUL in it: it is replaced before anything is compared, hashed or linked. */
function cleaned<T>(value: T): T {
  return isClean(value) ? value : (replaced(value) as T)
}

/** Whether there is no NUL in it. A delivery's body has a column that takes bytes. */
function isClean(value: unknown): boolean {
  if (typeof value === 'string') return !value.includes('\0')
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return true
  return Object.entries(value).every(([key, one]) => (key === 'body' && 'bodySha256' in value) || isClean(one))
}

function replaced(value: unknown): unknown {
  if (typeof value === 'string') return wellFormed(value)
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return value
  if (Array.isArray(value)) return value.map(replaced)
  const isDelivery = 'bodySha256' in value
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, key === 'body' && isDelivery ? one : replaced(one)]),
  )
}
