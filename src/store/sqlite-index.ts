import { rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

import { AppError } from '../core/errors.ts'
import { isEmail } from '../core/text.ts'
import { indexPath, integer, makePrivate, StoreError } from './sqlite-files.ts'
import { createWords, TOKENIZER } from './sqlite-words.ts'
import type { TicketQuery } from './store.ts'

/** Raised whenever what is indexed changes: an index of another version is made anew. */
const VERSION = 2
/** Tickets that are indexed in one go; a question that comes meanwhile waits for it, about 3 ms. */
export const CHUNK = 200
/** A transaction of the index stays open this long, or for this many tickets: larger ones cost half as much a ticket. */
const COMMIT_MS = 500
const COMMIT_TICKETS = 4000
/** Bytes of words that FTS5 gathers in memory before it writes them out; its own default is 1 MB. */
const HASH_BYTES = 8_388_608
/** The index is merged into one when this many tickets, and a tenth of all, came since: many parts are slow to page through. */
const MERGE_TICKETS = 10_000
const MERGE_PAGES = 500
/** A query waits for this many tickets to be indexed; further behind, it is refused until the index has caught up. */
const PATIENCE = 20_000

const FACETS = ['status', 'priority', 'category', 'platform'] as const
type Facet = (typeof FACETS)[number]

/** The word of a merged ticket; to be merged and to be un-merged are on its timeline, so that it is indexed anew. */
const MERGED = `merged${Buffer.from('true').toString('hex')}`

// All that a ticket is found by, as one text: its words, who sent it and which it is, and a word for each facet's value
// (its bytes in hex, so that it is one word whatever it holds). One text, because the index keeps no columns: it answers
// which tickets, newest first, and not where in them, for a quarter of the size.
const TEXT = `concat_ws(' ', title, description, user_email, user_id, external_id,
  ${FACETS.map((facet) => `'${facet}' || hex(${facet})`).join(', ')}, 'email' || hex(lower(user_email)),
  iif(merged_into is null, null, '${MERGED}'))`

/** Ticket id, TEXT and, of a changed ticket, the history entry that told, and whether an erasure did. */
type IndexedRow = [id: number, text: string, entryId: number, isErased: number]

/** What `step` answers when something was erased: an index keeps the words of what it forgets, so it is made anew. */
const OUTWORN = -1

export type SearchIndex = ReturnType<typeof openIndex>

/** See openParts. Makes the index anew, in a new file, before it would take note of an erasure. */
export function openIndex(directory: string, store: DatabaseSync) {
  let parts = openParts(directory, store)

  function step(): number {
    const found = parts.step()
    if (found !== OUTWORN) return found
    parts.close()
    removeIndex(directory)
    parts = openParts(directory, store)
    return parts.step()
  }

  return {
    step,
    mergeStep: () => parts.mergeStep(),
    /** Makes the next query see everything that is committed now. Throws `unavailable` when that would take too long. */
    catchUp: () => {
      parts.assertNear()
      while (step() > 0);
    },
    find: (query: TicketQuery) => parts.find(query),
    close: () => parts.close(),
  }
}

/**
 * The full-text and filter index: one FTS5 table in a file of its own, derived from the store and behind it by at
 * most what `catchUp` has not done yet. It may be deleted at any time. Filters are words of the index like any other,
 * so that each combination of them is one intersection of sorted lists, newest first.
 */
function openParts(directory: string, store: DatabaseSync) {
  const db = openOrRecreate(directory, store)
  const cut = createWords()
  const add = db.prepare('insert into search (rowid, text) values (?, ?)')
  const replace = db.prepare('insert or replace into search (rowid, text) values (?, ?)')
  const mergePages = db.prepare(`insert into search (search, rank) values ('merge', ?)`)
  const progress = db.prepare('select ticket_id, entry_id from progress')
  const setProgress = db.prepare('update progress set ticket_id = ?, entry_id = ?')
  const newTickets = store.prepare(`select id, ${TEXT} from tickets where id > ? order by id limit ?`)
  const newEntries = store.prepare(`
    select t.id, ${TEXT}, max(e.id), max(e.kind = 'erased')
    from (select id, ticket_id, kind from timeline where id > ? order by id limit ?) e
    join tickets t on t.id = e.ticket_id group by t.id`)
  newTickets.setReturnArrays(true)
  newEntries.setReturnArrays(true)
  const done = { ticket: 0, entry: 0 }
  const batch = { since: 0, tickets: 0 }
  const merge = { isDue: false, tickets: 0 }
  readProgress()
  if (
    done.ticket > integer(store, 'select max(id) from tickets') ||
    done.entry > integer(store, 'select max(id) from timeline')
  ) {
    // The index only ever follows what is committed: the store was put back, or its newest commits are lost.
    throw new StoreError(
      `The store has fewer tickets than ${indexPath(directory)}, which follows it: it was put back to an earlier state, ` +
        `or its log was lost; restore a backup, or remove ${indexPath(directory)} to go on with what is there`,
    )
  }

  function readProgress(): void {
    const row = progress.get()
    done.ticket = Number(row?.['ticket_id'] ?? 0)
    done.entry = Number(row?.['entry_id'] ?? 0)
  }

  /** How many tickets and history entries are not indexed yet. */
  function behind(): number {
    return (
      integer(store, 'select max(id) from tickets') -
      done.ticket +
      integer(store, 'select max(id) from timeline') -
      done.entry
    )
  }

  /** Indexes the next tickets that are new or changed, at most CHUNK of each; returns how many there were. */
  function step(): number {
    try {
      return stepOnce()
    } catch (error) {
      if (db.isTransaction) db.exec('rollback')
      readProgress()
      throw error
    }
  }

  function stepOnce(): number {
    const tickets = newTickets.all(done.ticket, CHUNK) as unknown as IndexedRow[]
    const entries = tickets.length < CHUNK ? (newEntries.all(done.entry, CHUNK) as unknown as IndexedRow[]) : []
    if (entries.some(([, , , isErased]) => isErased === 1)) return OUTWORN
    const found = tickets.length + entries.length
    if (found > 0) {
      begin()
      for (const [id, text] of tickets) add.run(id, text)
      for (const [id, text] of entries) replace.run(id, text)
      batch.tickets += found
      merge.tickets += found
      done.ticket = tickets.at(-1)?.[0] ?? done.ticket
      done.entry = Math.max(done.entry, ...entries.map(([, , entryId]) => entryId))
    }
    if (db.isTransaction && (batch.tickets >= COMMIT_TICKETS || performance.now() - batch.since >= COMMIT_MS)) commit()
    return found
  }

  function begin(): void {
    if (db.isTransaction) return
    db.exec('begin immediate')
    Object.assign(batch, { since: performance.now(), tickets: 0 })
  }

  function commit(): void {
    setProgress.run(done.ticket, done.entry)
    db.exec('commit')
  }

  /** For an idle moment: merges the parts of the index a little further; false when there is nothing to merge. */
  function mergeStep(): boolean {
    if (merge.tickets >= Math.max(MERGE_TICKETS, done.ticket / 10)) Object.assign(merge, { isDue: true, tickets: 0 })
    if (!merge.isDue) return false
    const before = integer(db, 'select total_changes()')
    mergePages.run(-MERGE_PAGES)
    // FTS5 says by the number of changes that nothing was left to do.
    merge.isDue = integer(db, 'select total_changes()') - before >= 2
    return merge.isDue
  }

  /** Throws `unavailable` when it would take too long to catch up. */
  function assertNear(): void {
    const missing = behind()
    if (missing > PATIENCE) {
      throw new AppError(
        'unavailable',
        `The search index is being built (${missing} tickets to go); ask again in a moment`,
      )
    }
  }

  /** Ids of matching tickets, newest first. */
  function find(query: TicketQuery): number[] {
    const wanted = quoted(query.q, cut.words)
    if (query.q !== undefined && wanted.length === 0) return []
    const needed = [...wanted, ...FACETS.flatMap((facet) => filter(facet, query[facet]))]
    if (query.merged === true) needed.push(MERGED)
    const match = needed.join(' AND ') + (query.merged === false ? ` NOT ${MERGED}` : '')
    // A number is bound as a double, and FTS5 starts at a rowid only when it is told an integer.
    const before = BigInt(query.before ?? Number.MAX_SAFE_INTEGER)
    return db
      .prepare('select rowid as id from search where search match ? and rowid < ? order by rowid desc limit ?')
      .all(match, before, query.limit)
      .map((row) => Number(row['id']))
  }

  function close(): void {
    if (db.isTransaction) commit()
    cut.close()
    db.close()
  }

  return { step, mergeStep, assertNear, find, close }
}

function openOrRecreate(directory: string, store: DatabaseSync): DatabaseSync {
  try {
    return open(indexPath(directory), store)
  } catch {
    // Damaged or of another version: it holds nothing that the store does not.
    removeIndex(directory)
    return open(indexPath(directory), store)
  }
}

/** Its files; the store is the source of all that was in them. */
export function removeIndex(directory: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(indexPath(directory) + suffix, { force: true })
}

const newestEntry = (store: DatabaseSync) => integer(store, 'select max(id) from timeline')

function open(path: string, store: DatabaseSync): DatabaseSync {
  makePrivate(path)
  const db = new DatabaseSync(path)
  // Not FULL: a power cut may take the newest part of the index, which is then derived again.
  db.exec('pragma journal_mode = wal; pragma synchronous = normal; pragma cache_size = -8192')
  const version = integer(db, 'pragma user_version')
  if (version === VERSION) return db
  if (version !== 0) {
    db.close()
    throw new Error(`index version ${version}`)
  }
  db.exec(`
    begin immediate;
    create virtual table search using fts5(text,
      content = '', contentless_delete = 1, detail = none, tokenize = '${TOKENIZER}');
    create table progress (ticket_id integer not null, entry_id integer not null) strict;
    insert into search (search, rank) values ('hashsize', ${HASH_BYTES});
    -- Tickets are read as they are now, with all that their history has told so far.
    insert into progress values (0, ${newestEntry(store)});
    pragma user_version = ${VERSION};
    commit`)
  return db
}

const facetWord = (facet: Facet | 'email', value: string) => `"${facet}${Buffer.from(value).toString('hex')}"`

const filter = (facet: Facet, value: string | undefined) => (value === undefined ? [] : [facetWord(facet, value)])

/**
 * Each word quoted, so that no input is query syntax. An e-mail address is one word; a final `*` asks for a prefix.
 */
function quoted(q: string | undefined, words: (text: string) => string[]): string[] {
  const found: string[] = []
  for (const part of (q ?? '').split(/\s+/u)) {
    if (isEmail(part)) {
      found.push(facetWord('email', part.toLowerCase()))
      continue
    }
    const parts = words(part)
    found.push(...parts.map((word, index) => `"${word}"${part.endsWith('*') && index === parts.length - 1 ? '*' : ''}`))
  }
  return found
}
