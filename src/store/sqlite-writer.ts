import type { DatabaseSync } from 'node:sqlite'

import { GENESIS } from '../core/audit.ts'
import type { NewDecision } from '../core/decision.ts'
import type { Remap } from '../core/rederive.ts'
import type { Ticket, TicketChange } from '../core/ticket.ts'
import { integer, resultCode } from './sqlite-files.ts'
import { statements } from './sqlite-statements.ts'
import { sqliteTables } from './sqlite-tables.ts'
import type { Submission } from './store.ts'
import { createRules, type Settled } from './submissions.ts'
import type { Verdict } from './tables.ts'

/** What became of a decision, or what is wrong with it alone. */
export type Decided = { result: 'decided' | 'repeated' | 'gone' } | { error: unknown }

/** The only code that changes the store. Everything here runs to its end before anything else does. */
export function createWriter(db: DatabaseSync) {
  const sql = statements(db)
  const ids = { ticket: 0, delivery: 0, link: '', known: false }
  const rules = createRules(sqliteTables(sql, ids), ids)

  /** Stores a group of submissions in one transaction. Throws, with nothing stored, when it cannot commit. */
  function submit(group: readonly Submission[]): Settled[] {
    try {
      return transaction(() => group.map(rules.settle))
    } catch (error) {
      if (isDiskFault(error) || group.length === 0) throw error
      // One of the group is at fault, and it must not take the others with it: give each a savepoint.
      return transaction(() => group.map(submitAlone))
    }
  }

  function transaction<T>(work: () => T): T {
    if (!ids.known) loadIds()
    sql.begin.run()
    try {
      const result = work()
      sql.commit.run()
      return result
    } catch (error) {
      ids.known = false
      if (db.isTransaction) sql.rollback.run()
      throw error
    }
  }

  function submitAlone(submission: Submission): Settled {
    const before = { ...ids }
    db.exec('savepoint alone')
    try {
      const settled = rules.settle(submission)
      db.exec('release alone')
      return settled
    } catch (error) {
      if (isDiskFault(error)) throw error
      db.exec('rollback to alone; release alone')
      Object.assign(ids, before)
      return { error: error instanceof Error ? error : new Error(String(error)) }
    }
  }

  /** Applies a person's change; null when there is no such ticket. */
  function changeTicket(id: number, change: TicketChange, by: { at: number; actor: string }): Ticket | null {
    return transaction(() => rules.change(id, change, by))
  }

  /** See tickets.ts. All in one transaction, unless one is at fault: then each in its own. */
  function decide(group: readonly NewDecision[]): Decided[] {
    try {
      return transaction(() => group.map((decision) => ({ result: rules.decide(decision) })))
    } catch (error) {
      if (isDiskFault(error)) throw error
      return group.map(decideAlone)
    }
  }

  function decideAlone(decision: NewDecision): Decided {
    try {
      return { result: transaction(() => rules.decide(decision)) }
    } catch (error) {
      if (isDiskFault(error)) throw error
      return { error }
    }
  }

  function judge(verdict: Verdict): boolean {
    return transaction(() => rules.judge(verdict))
  }

  function saveVectors(model: string, vectors: ReadonlyMap<number, Int8Array>): void {
    transaction(() => {
      for (const [ticketId, vector] of vectors) sql.saveVector.run(ticketId, model, new Uint8Array(vector.buffer))
    })
  }

  function saveSetting(name: string, value: string, at: number): void {
    transaction(() => sql.saveSetting.run(name, value, at))
  }

  /** All of them, or none. */
  function remap(remaps: readonly Remap[], by: { at: number; actor: string }): number {
    return transaction(() => remaps.filter((one) => rules.remap(one, by)).length)
  }

  /**
   * Forgets deliveries from the oldest on, up to the first received at `before` (ms) or later and at most `limit` of
   * them; returns how many. The newest row always stays: it is where numbering and chain go on.
   */
  function prune(before: number, limit: number): number {
    return transaction(() => {
      const oldest = sql.oldest.all(ids.delivery, limit)
      const kept = oldest.findIndex((row) => Number(row['received_at']) >= before)
      const gone = oldest[(kept < 0 ? oldest.length : kept) - 1]
      if (gone === undefined) return 0
      const id = Number(gone['id'])
      const link = sql.linkOfDelivery.get(id)?.['link']
      // A row without a link is from before the chain, which then still begins where it did.
      if (typeof link === 'string') sql.moveAnchor.run(id, link)
      return Number(sql.prune.run(id).changes)
    })
  }

  /** Numbering and chain go on after what is newest on disk; nothing else hands out numbers or adds to them. */
  function loadIds(): void {
    const newest = sql.newestDelivery.get()
    ids.ticket = integer(db, 'select max(id) from tickets')
    ids.delivery = Number(newest?.['id'] ?? 0)
    ids.link = String(newest?.['link'] ?? sql.anchor.get()?.['link'] ?? GENESIS)
    ids.known = true
  }

  /** Commits this many bytes of nothing, to know that the disk still takes a commit. Throws when it does not. */
  function probe(now: number, bytes: number): void {
    transaction(() => sql.probe.run(now, bytes))
  }

  return { submit, changeTicket, decide, judge, saveVectors, saveSetting, remap, prune, probe }
}

/** Full, failing, read-only or damaged: no other submission would fare better. Primary result codes of SQLite. */
export function isDiskFault(error: unknown): boolean {
  return [5, 6, 7, 8, 10, 11, 13, 14, 26].includes(resultCode(error))
}
