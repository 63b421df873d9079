import type { Hours } from '../core/activity.ts'
import type { Article, Chunk, NewArticle, WholeArticle } from '../core/article.ts'
import type { AuditEntry, Checkpoint } from '../core/audit.ts'
import type { AccuracyRow, NewDecision, TriageField } from '../core/decision.ts'
import type { Stored, StoredDraft } from '../core/merge.ts'
import type { Priority } from '../core/priority.ts'
import type { Remap } from '../core/rederive.ts'
import type { Source } from '../core/source.ts'
import type { Status, Ticket, TicketChange, TimelineEntry } from '../core/ticket.ts'
import type { KeyStore, SessionStore, ReceiptKeyStore } from './key-store.ts'

export const OUTCOMES = ['created', 'updated', 'commented', 'duplicate', 'ignored', 'rejected'] as const
export type Outcome = (typeof OUTCOMES)[number]

/** One request to the intake as it arrived: the audit row, before anything was made of it. */
export type NewDelivery = {
  /** ms since the epoch */
  receivedAt: number
  source: string
  address: string
  method: string
  path: string
  /** JSON object, secrets masked. */
  headers: string
  /** Text when the body is valid UTF-8, bytes when not, null when it may not be kept. */
  body: string | Uint8Array | null
  /** Of the body as it was received (after inflating), in bytes. */
  bodySize: number
  /** Hex, of the body as it is kept. */
  bodySha256: string
  /** What tells its body from another about the same ticket, where the hash of the kept one does not; else null. */
  fingerprint: string | null
  /** Hex, of the body as it was received, where that is another. Never stored. */
  receivedSha256: string | null
  requestId: string
  platform: string | null
  /** Unique within the source; null when the sender gave none. */
  idempotencyKey: string | null
  /**
   * Whether the key is the platform's own id of the delivery. Such a key names a retry, which may say more than the
   * first; a key that the sender chose promises the same body.
   */
  keyIsPlatforms: boolean
  /** The delivery that this one plays again. */
  replayOf: number | null
  /** Where its trace goes on in the ticket's job (W3C); left out where nobody asked for traces. Not kept. */
  traceparent?: string
}

/** One ticket of a submission, or the reason why this item of a batch is none. */
export type Item = { draft: StoredDraft; fingerprint: string } | { error: string } | { ignored: string }

/** What the intake hands to the store: one delivery and what is to become of it. */
export type Submission = { delivery: NewDelivery } & (
  | { kind: 'ticket'; draft: StoredDraft }
  | { kind: 'batch'; items: Item[] }
  | { kind: 'refusal'; status: number; reason: string }
  /** Nothing is wrong with it, and there is nothing to keep but that it came. `answer` is JSON text. */
  | { kind: 'ignored'; reason: string; answer: string }
)

/** What became of a submission. */
export type Settlement = {
  deliveryId: number
  outcome: Outcome
  ticketId: number | null
  /** The JSON text to answer with; empty for a refusal. */
  answer: string
  /** Whether this repeats the answer to an earlier delivery. */
  replayed: boolean
  /** The sender used an idempotency key again with another body: nothing was stored but the refused delivery. */
  keyReused: boolean
  /** Tickets that were told of it, because what it changed is merged into them. */
  relayedTo?: readonly number[]
}

/** What became of a submission, durable by the time it is handed out. */
export type Receipt = Settlement & {
  /** The receipt for the sender, signed (core/receipt.ts); null for a refusal, and where nobody signs. */
  proof: string | null
}

export type TicketQuery = {
  status?: Status | undefined
  priority?: Priority | undefined
  category?: string | undefined
  platform?: string | undefined
  /** Words that all have to occur. */
  q?: string | undefined
  /** Only those that are merged into another, or only those that stand for themselves. */
  merged?: boolean | undefined
  /** Only tickets with a smaller id: where the page before ended. */
  before?: number | undefined
  limit: number
}

export type DeliveryQuery = {
  outcome?: Outcome | undefined
  source?: string | undefined
  before?: number | undefined
  limit: number
}

/** Which deliveries to play again: of this outcome and source, after this one. */
export type ReplayQuery = { outcome: Outcome; source?: string | undefined; after: number; limit: number }

export type StoredDelivery = Omit<
  NewDelivery,
  'body' | 'bodySha256' | 'fingerprint' | 'receivedSha256' | 'keyIsPlatforms'
> & {
  id: number
  outcome: Outcome
  status: number
  reason: string | null
  ticketId: number | null
  /** From receipt to the moment before the commit, in µs. */
  durationUs: number
  bodySha256: string
}

type TicketReader = {
  ticket: (id: number) => Promise<Ticket | null>
  /** Newest first, one more than `limit` when there is a next page. */
  tickets: (query: TicketQuery) => Promise<Ticket[]>
  /** The tickets that are merged into this one, in order. */
  mergedInto: (id: number) => Promise<number[]>
  /** A ticket as it is apart from being merged, with what its sender last said of the fields that a person changed since. */
  heldTicket: (id: number) => Promise<Stored | null>
  /** Tickets whose timelines grew after this entry, the first `limit` entries of them, and the last entry looked at. */
  changedSince: (entry: number, limit: number) => Promise<{ tickets: number[]; last: number }>
  /** The newest entry of any timeline; 0 when there is none. */
  newestEntry: () => Promise<number>
  /** Oldest first; null when there is no such ticket. */
  timeline: (id: number) => Promise<TimelineEntry[] | null>
}

/** A delivery with what is read of one alone. */
export type WholeDelivery = StoredDelivery & {
  body: string | Uint8Array | null
  /** Of the chain; null when it is older than that. */
  link: string | null
}

export type DeliveryReader = {
  deliveries: (query: DeliveryQuery) => Promise<StoredDelivery[]>
  delivery: (id: number) => Promise<WholeDelivery | null>
  /**
   * Numbers of deliveries, oldest first, without those that play others again, and of refused ones without those that a
   * replay has mended.
   */
  replayable: (query: ReplayQuery) => Promise<number[]>
  /** How many deliveries a source has, at most `last`, and the number before the oldest of these. */
  lastOf: (source: string, last: number) => Promise<{ count: number; after: number }>
  /** A source's deliveries after this one, oldest first, with their bodies. */
  wholeOf: (source: string, after: number, limit: number) => Promise<WholeDelivery[]>
}

/** A row of the audit log with what the chain needs of it. */
export type AuditRow = AuditEntry & {
  salt: string | null
  link: string | null
  /** Set when the personal part was erased. */
  seal: string | null
  /** Of the body as it is kept now; null when there is none. */
  keptSha256: string | null
}

/** Where the chain begins: after this delivery, with this link. */
export type Anchor = { deliveryId: number; link: string }

/** The whole log at one moment, but for its rows. */
export type AuditStart = {
  anchor: Anchor
  /** 0 when there is no row. */
  newest: number
  /** Whose chain it is, where a store has several. */
  node?: string
  /** Rows up to the anchor's: how many, the first of all and the first with a link, which none should have. */
  before: { rows: number; first: number | null; firstLinked: number | null }
}

/** Each node that writes to a store has a chain of its own; a question that names none is about the one who answers. */
export type AuditReader = {
  /** Every node that has a chain here. The embedded store has one writer, which has no name: ''. */
  auditNodes: () => Promise<string[]>
  /** The newest link; null when no delivery has one. */
  checkpoint: (node?: string) => Promise<Checkpoint | null>
  auditStart: (node?: string) => Promise<AuditStart>
  /** Rows after this id, oldest first, and the anchor as it was at the same moment. */
  auditPage: (after: number, limit: number, node?: string) => Promise<{ anchor: Anchor; rows: AuditRow[] }>
}

/** Registered senders, which another process may change at any time. */
export type SourceStore = {
  /** Oldest first, disabled and deleted ones too. */
  sources: () => Promise<Source[]>
  /** False when the id is taken; that of a deleted source is not. */
  addSource: (source: Pick<Source, 'id' | 'settings' | 'secrets' | 'createdAt'>) => Promise<boolean>
  /** False when there is no such source, or somebody changed it after `seenAt`, its updatedAt. */
  updateSource: (
    source: Pick<Source, 'id' | 'settings' | 'secrets' | 'updatedAt' | 'disabledAt'>,
    seenAt: number,
  ) => Promise<boolean>
  removeSource: (id: string, at: number) => Promise<boolean>
  /** As onKeysChanged. */
  onSourcesChanged: (listener: () => void) => () => void
}

/** A ticket of which somebody said what a field is: a person, or else its sender. */
export type Example = {
  ticketId: number
  title: string
  description: string
  value: string
  isByPerson: boolean
  /** When it was said, ms. */
  saidAt: number
}

/** A ticket's meaning, a byte a dimension. */
export type StoredVector = { ticketId: number; vector: Int8Array }

type TriageReader = {
  /** The newest decision on a ticket, JSON (core/decision.ts); null where there is none. */
  triageOf: (ticketId: number) => Promise<string | null>
  /** Of the tickets with these numbers, first and last among them; newest first. */
  examples: (field: TriageField, first: number, last: number) => Promise<Example[]>
  /** Made by this model, of tickets before this one, newest first. */
  vectors: (model: string, before: number, limit: number) => Promise<StoredVector[]>
  /**
   * Tickets from this number on that this model has neither made a vector of nor said that it cannot: how many, and the
   * numbers of the newest.
   */
  unembedded: (model: string, from: number, limit: number) => Promise<{ count: number; tickets: number[] }>
  /** How right triage was about what people said since (ms), by field, value and week. */
  accuracy: (since: number) => Promise<AccuracyRow[]>
  /** When a person last said what a field is, ms; 0 where nobody has. */
  newestVerdict: () => Promise<number>
  /** What operators set, JSON by name; null where nobody did. */
  setting: (name: string) => Promise<string | null>
}

/** What there is to learn from, for a command that runs beside the server. */
export type History = Pick<TriageReader, 'examples' | 'vectors' | 'setting'> & {
  newestTicket: () => Promise<number>
  close: () => Promise<void>
}

/** What triage decides and learns from. */
export type TriageStore = TriageReader & {
  /**
   * Keeps a decision and sets what it may set, in one commit. `repeated` where its cause was decided before, `gone` where
   * there is no such ticket.
   */
  decide: (decision: NewDecision) => Promise<'decided' | 'repeated' | 'gone'>
  /** Keeps a person's word on what a field is, without changing the ticket. False when there is no such ticket. */
  judge: (ticketId: number, field: TriageField, value: string, actor: string) => Promise<boolean>
  /** In place of what another model made; an empty one says that this model does not know the ticket's language. */
  saveVectors: (model: string, vectors: ReadonlyMap<number, Int8Array>) => Promise<void>
  saveSetting: (name: string, value: string) => Promise<void>
}

export type ArticleQuery = {
  /** Words that all have to occur. */
  q?: string | undefined
  /** Only articles with a smaller id: where the page before ended. */
  before?: number | undefined
  limit: number
}

/** Which text an article has at the moment. */
export type ArticleVersion = { id: number; sha256: string }

/** A piece of an article, with its meaning where that was made by the model that is asked for. */
export type StoredChunk = Chunk & { id: number; vector: Int8Array | null }

/** A piece with the article that it is of. */
export type FoundChunk = Chunk & { id: number; articleId: number; title: string; source: string | null }

/** What is asked about articles. */
export type ArticleReader = {
  /** Newest first, one more than `limit` when there is a next page. */
  articles: (query: ArticleQuery) => Promise<Article[]>
  article: (id: number) => Promise<WholeArticle | null>
  /** The number of the article that comes from there. */
  articleFrom: (source: string) => Promise<number | null>
  versions: () => Promise<ArticleVersion[]>
  /** All pieces of an article, in their order. */
  chunks: (articleId: number, model: string | null) => Promise<StoredChunk[]>
  /** Those of these that are still there, in any order. */
  foundChunks: (ids: readonly number[]) => Promise<FoundChunk[]>
}

/** The knowledge base, which another process may change at any time. Article and pieces commit together or not at all. */
export type ArticleStore = ArticleReader & {
  /**
   * Makes an article, or replaces the one that `id` names or that comes from the same source; null when `id` names none.
   * Throws AppError `conflict` when there are too many.
   */
  saveArticle: (
    article: NewArticle,
    by: { at: number; id?: number },
  ) => Promise<{ id: number; outcome: 'created' | 'updated' | 'unchanged' } | null>
  removeArticle: (id: number) => Promise<boolean>
  /** Of pieces by number; those that are gone are passed over. */
  saveChunkVectors: (model: string, vectors: ReadonlyMap<number, Int8Array>) => Promise<void>
  /** As onKeysChanged. */
  onArticlesChanged: (listener: () => void) => () => void
}

/** When sources are heard, for whoever has to know that one fell silent (core/silence.ts). */
export type RhythmStore = {
  /** When the newest delivery of each was received that was not refused, ms; no entry where there is none of late. */
  lastHeard: (sources: readonly string[]) => Promise<Map<string, number>>
  /** What was saved, JSON by source. */
  rhythms: () => Promise<Map<string, string>>
  /** Lays these over what was saved, and forgets what is of no source any more. */
  saveRhythms: (rhythms: ReadonlyMap<string, string>) => Promise<void>
}

/** What a commit changed, by number. */
export type Changes = { deliveries: readonly number[]; tickets: readonly number[] }

/** Hears of each commit once it is on disk. Asked first, so that it costs nothing while nobody listens. */
export type Witness = { isHeard: () => boolean; publish: (changes: Changes) => void }

/** How large the store is: cheap to know, however large it is. */
type StoreFigures = {
  /** Number of the newest ticket; 0 when there is none. */
  newestTicket: number
  /** By what the file is for. */
  bytes: Record<string, number>
}

/**
 * Everything that is kept. The guarantees that every engine owes, and that `test/contract/store.ts` holds it to:
 * a promise of `submit` or `changeTicket` resolves only after the commit is on disk; ticket, history, delivery and
 * job commit together or not at all; one (platform, account, external id) is one ticket; one (source, key) is one
 * delivery; each delivery's link follows from the one before of its node (core/audit.ts). Rejects with AppError `unavailable` when it cannot commit or its queue is full.
 */
export type Store = TicketReader &
  DeliveryReader &
  AuditReader & {
    keyStore: KeyStore
    sessionStore: SessionStore
    receiptKeyStore: ReceiptKeyStore
    sourceStore: SourceStore
    rhythmStore: RhythmStore
    articleStore: ArticleStore
    triage: TriageStore
  } & {
    submit: (submission: Submission) => Promise<Receipt>
    /** `actor` is who did it, for the timeline. Null when there is no such ticket. */
    changeTicket: (id: number, change: TicketChange, actor: string) => Promise<Ticket | null>
    /**
     * Merges a ticket into another, which stands for it until it is un-merged: it is closed, and both timelines say so. Null
     * when there is no such ticket. Rejects with AppError `conflict` where it cannot be (core/merged.ts).
     */
    mergeTicket: (id: number, into: number, actor: string) => Promise<Ticket | null>
    /** Gives it back the status that its sender and people gave it. Null when there is no such ticket. */
    unmergeTicket: (id: number, actor: string) => Promise<Ticket | null>
    /** Lays these differences over their tickets, all or none; returns how many tickets that changed. */
    remap: (remaps: readonly Remap[], actor: string) => Promise<number>
    /**
     * Forgets the oldest deliveries, up to the first that was received at this time (ms) or after; returns how many
     * went. What is left is one piece, so that its chain can still be followed.
     */
    prune: (before: number) => Promise<number>
    /** Makes a small commit. Rejects with AppError `unavailable`, saying why, when the disk does not take it. */
    probe: () => Promise<void>
    /** Those of these that are there, in order of their numbers: the deliveries and tickets of a few commits. */
    rowsOf: (changes: Changes) => Promise<{ deliveries: StoredDelivery[]; tickets: Ticket[] }>
    figures: () => Promise<StoreFigures>
    /**
     * What came since this time (ms), by the hour. Takes about `patienceMs` at most: where that is too short, the newest
     * are counted, and a later call knows more.
     */
    activity: (from: number, patienceMs: number) => Promise<{ hours: Hours; isWhole: boolean }>
    /** Submissions that wait for a commit. */
    queued: () => number
    /** So much waits to be committed that no more should be taken: before it is too much, and until it is much less. */
    isCrowded: () => boolean
    /** Commits what is queued, then releases the files. */
    close: () => Promise<void>
  }
