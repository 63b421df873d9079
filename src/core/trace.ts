import type { Headers } from './signature.ts'

export type Facts = Record<string, string | number | boolean>

/** A request's own span, until it is answered. */
export type RequestSpan = {
  /** Runs this so that what it does, and whatever that waits for, belongs to the request. */
  within: (run: () => void) => void
  end: (status: number) => void
}

/**
 * What the program tells a collector of traces. There is one only where traces were asked for; everywhere else it is
 * null, and nothing is paid for it. Facts hold no personal data and no secrets: no address, no body, no query.
 */
export type Traces = {
  /** The sender's own `traceparent`, where it sent one, is the parent. */
  request: (request: { method: string; route: string | null; headers: Headers; facts: Facts }) => RequestSpan
  /** A part of what runs now. Takes what returns a promise as well, and lasts until that is settled. */
  span: <Result>(name: string, run: () => Result, facts?: Facts) => Result
  /** Adds facts to the span of the request that is being worked, and to the part of it that runs now. */
  note: (facts: Facts) => void
  /** Of the part that runs now, in W3C's form, for a job that goes on with it later; null where nothing runs. */
  traceparent: () => string | null
  /** What goes on later from a `traceparent` that was kept. */
  job: <Result>(name: string, traceparent: string | null, run: () => Result) => Result
  close: () => Promise<void>
}

/** Runs it and tells nobody: what stands for `span` where there are no traces. */
export const untraced = <Result>(_name: string, run: () => Result): Result => run()

export type TraceParent = { traceId: string; spanId: string; traceFlags: number }

// w3.org/TR/trace-context: versions after 00 may add fields at the end; ff is none, and no id is all zeros.
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** What a `traceparent` header says; null where it says nothing that counts. */
export function parseTraceparent(header: string | null): TraceParent | null {
  if (header === null || header.length > 200) return null
  const [, version, traceId = '', spanId = '', flags = '', rest] = TRACEPARENT.exec(header.trim()) ?? []
  if (version === undefined || (version === '00' && rest !== undefined)) return null
  // Only whether it is sampled is passed on: other flags are of versions that are not known here.
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1 }
}

export const traceparentOf = ({ traceId, spanId, traceFlags }: TraceParent): string =>
  `00-${traceId}-${spanId}-${(traceFlags & 1) === 1 ? '01' : '00'}`
