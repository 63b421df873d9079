import ipaddr from 'ipaddr.js'

import { AppError } from '../core/errors.ts'
import { type Rate, take, taken, used } from '../core/rate.ts'

/** How many senders are remembered; whoever has not come for longest is forgotten first. */
const REMEMBERED = 100_000

/** Wrong keys and signatures from one address: enough for a wrong setting to be seen, too few to keep the server busy. */
const FAILURES: Rate = { quota: 300, windowMs: 60_000 }
/** More than a person who tries things out makes within minutes. */
const SUSPECT = 20

export type Limits = ReturnType<typeof createLimits>

/** Requests that passed, by whom and at which rate: what nodes tell each other, so that a limit is one for all of them. */
export type Passed = { limiter: Limiter; sender: string; rate: Rate; count: number }

const LIMITERS = ['address', 'key', 'source', 'failures'] as const
type Limiter = (typeof LIMITERS)[number]

/**
 * Counts requests. Each function throws `rate_limited` when there have been too many. `isShared` where other nodes count
 * too: what passed here is then kept until it is drained for them.
 */
export function createLimits({
  perAddress,
  perKey,
  isShared = false,
}: {
  perAddress: Rate | null
  perKey: Rate | null
  isShared?: boolean
}) {
  let passed = new Map<string, Passed>()
  const note = isShared ? notePassed : null
  const limiters = Object.fromEntries(LIMITERS.map((name) => [name, createLimiter(name, note)])) as Record<
    Limiter,
    ReturnType<typeof createLimiter>
  >
  const { address: addresses, key: keys, source: sources, failures } = limiters

  function notePassed(limiter: Limiter, sender: string, rate: Rate): void {
    const key = `${limiter} ${sender}`
    const known = passed.get(key)
    if (known !== undefined) known.count += 1
    else if (passed.size < REMEMBERED) passed.set(key, { limiter, sender, rate, count: 1 })
  }

  return {
    /** Before anything is known of who asks. */
    address: (address: string, now: number) => {
      if (perAddress !== null) addresses.count(networkOf(address), perAddress, now)
    },
    /** `own` is the key's own rate, which goes before the one that is set for all. */
    key: (id: string, own: Rate | null, now: number) => {
      const rate = own ?? perKey
      if (rate !== null) keys.count(id, rate, now)
    },
    /** After its signature, by the source's own rate. */
    source: (id: string, rate: Rate, now: number) => sources.count(id, rate, now),
    /** After a key or a signature that opens nothing. */
    failure: (address: string, now: number) => failures.count(networkOf(address), FAILURES, now),
    /** What passed here since it was last asked. */
    drain: (): Passed[] => {
      const drained = [...passed.values()]
      passed = new Map()
      return drained
    },
    /** Counts what passed at another node. */
    add: ({ limiter, sender, rate, count }: Passed, now: number) => limiters[limiter].add(sender, rate, now, count),
    /** Whether so many keys and signatures from there were wrong lately that its next refusals may take their time. */
    isSuspect: (address: string, now: number) => failures.used(networkOf(address), FAILURES, now) > SUSPECT,
  }
}

function createLimiter(name: Limiter, note: ((limiter: Limiter, sender: string, rate: Rate) => void) | null) {
  const due = new Map<string, number>()

  function set(sender: string, at: number): void {
    // Set anew, so that the map stays in the order in which senders came.
    due.delete(sender)
    due.set(sender, at)
    if (due.size > REMEMBERED) due.delete(due.keys().next().value ?? sender)
  }

  return {
    count: (sender: string, rate: Rate, now: number): void => {
      const { due: at, waitMs } = take(due.get(sender), rate, now)
      set(sender, at)
      if (waitMs > 0) throw tooMany(name, rate, waitMs)
      note?.(name, sender, rate)
    },
    add: (sender: string, rate: Rate, now: number, count: number): void =>
      set(sender, taken(due.get(sender), rate, now, count)),
    used: (sender: string, rate: Rate, now: number): number => used(due.get(sender), rate, now),
  }
}

function tooMany(name: string, { quota, windowMs }: Rate, waitMs: number): AppError {
  const seconds = Math.ceil(waitMs / 1000)
  const detail = `Too many requests: ${quota} in ${windowMs / 1000} seconds are accepted; try again in ${seconds} s`
  return new AppError('rate_limited', detail, [], { name, quota, windowS: windowMs / 1000, retryAfterS: seconds })
}

/** Whom an address stands for: a household has 2^64 addresses of IPv6, and one of IPv4. */
export function networkOf(address: string): string {
  if (!address.includes(':') || !ipaddr.IPv6.isValid(address)) return address
  const parsed = ipaddr.IPv6.parse(address)
  return parsed.isIPv4MappedAddress() ? parsed.toIPv4Address().toString() : parsed.parts.slice(0, 4).join(':')
}
