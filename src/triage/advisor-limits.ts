/** What a day may cost; null is no bound. A day is one of UTC. */
export type Budget = { requests: number | null; tokens: number | null }

const DAY_MS = 86_400_000
const FAILURES = 5
const FIRST_PAUSE_MS = 60_000
const LONGEST_PAUSE_MS = 600_000

/**
 * Keeps a language model within its budget, and leaves one alone that failed five times in a row: for a minute, then
 * for twice as long each time its next answer fails too, at most ten minutes.
 */
export function createLimits(budget: Budget, now: () => number) {
  let day = 0
  let [requests, tokens] = [0, 0]
  let failures = 0
  let pauseMs = FIRST_PAUSE_MS
  let closedUntil = 0

  function today(): void {
    const current = Math.floor(now() / DAY_MS)
    if (current === day) return
    day = current
    requests = 0
    tokens = 0
  }

  return {
    /** Takes one request of the budget, or says in words why it may not be made. */
    take(): string | null {
      today()
      if (budget.requests !== null && requests >= budget.requests)
        return `its ${budget.requests} requests of today are used up`
      if (budget.tokens !== null && tokens >= budget.tokens) return `its ${budget.tokens} tokens of today are used up`
      if (now() < closedUntil) return 'it failed several times and is left alone for a while'
      // Whoever comes while one tries whether it works again has to wait for what that one finds.
      if (failures >= FAILURES) closedUntil = now() + pauseMs
      requests += 1
      return null
    },
    succeeded(used: number): void {
      today()
      tokens += used
      failures = 0
      pauseMs = FIRST_PAUSE_MS
      closedUntil = 0
    },
    /** `used` is what a useless answer cost, too. */
    failed(used: number): void {
      today()
      tokens += used
      failures += 1
      if (failures < FAILURES) return
      closedUntil = now() + pauseMs
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)
    },
    used: () => {
      today()
      return { requests, tokens, isPaused: now() < closedUntil }
    },
  }
}
