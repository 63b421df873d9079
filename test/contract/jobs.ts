import { afterEach, expect, test } from 'vitest'

import type { Handler, HandlerSpec, Jobs, JobsHooks, RunningJob, RunOutcome } from '../../src/core/jobs.ts'

/** Where jobs are kept, and the runners that a test starts on it. */
type Subject = {
  /** Another runner. */
  open: (hooks: JobsHooks) => Promise<Jobs>
  /**
   * Closes all runners, has a process of its own begin the next job of this kind, and kills that process while the job
   * runs.
   */
  killWhileRunning: (kind: string) => Promise<void>
  dispose: () => Promise<void>
}

export type OpenJobs = () => Promise<Subject>

const PATIENT = { timeout: 60_000, interval: 20 }
const LONG = { timeout: 240_000 }

/** What every engine owes. Met by each, word for word. */
export function jobsContract(open: OpenJobs): void {
  let subject: Subject
  let opened: Jobs[] = []
  let mayRun = true
  const outcomes: { kind: string; outcome: RunOutcome }[] = []
  const failures: { id: number; attempt: number; error: string; isDead: boolean }[] = []
  const hooks: JobsHooks = {
    mayRun: () => mayRun,
    onRun: (kind, outcome) => outcomes.push({ kind, outcome }),
    onFailure: (failure) => failures.push(failure),
    onFault: (error) => console.log('fault:', error),
  }

  const jobs = async () => {
    subject ??= await open()
    const made = await subject.open(hooks)
    opened.push(made)
    return made
  }
  const closeAll = async () => {
    await Promise.all(opened.map((one) => one.close({ drainMs: 0 })))
    opened = []
  }
  const begin = async (run: Handler, over: Partial<HandlerSpec> = {}, on?: Jobs) => {
    const runner = on ?? (await jobs())
    await runner.start({ handlers: { work: { run, concurrency: 4, timeLimitMs: 60_000, ...over } } })
    return runner
  }
  const stateOf = async (runner: Jobs, id: number) =>
    (await runner.list({ limit: 100 })).find((job) => job.id === id)?.state ?? 'gone'
  const becomes = (runner: Jobs, id: number, state: string) =>
    expect.poll(() => stateOf(runner, id), PATIENT).toBe(state)

  afterEach(async () => {
    mayRun = true
    outcomes.length = 0
    failures.length = 0
    await closeAll()
    await subject.dispose()
    subject = undefined as unknown as Subject // the next test opens its own
  })

  test('a job that is done is done once, and is gone', LONG, async () => {
    const seen: RunningJob[] = []
    const runner = await begin(async (job) => void seen.push(job))
    const ids = await Promise.all(Array.from({ length: 30 }, (_, n) => runner.add('work', { ticket_id: n + 1, n })))
    await expect.poll(() => runner.list({ limit: 100 }), PATIENT).toEqual([])
    expect(seen.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual(ids.toSorted((a, b) => a - b))
    expect(seen.every(({ kind, attempt }) => kind === 'work' && attempt === 1)).toBe(true)
    expect(seen.map(({ ticketId }) => ticketId).toSorted((a, b) => Number(a) - Number(b))[29]).toBe(30)
    expect(outcomes).toEqual(Array.from({ length: 30 }, () => ({ kind: 'work', outcome: 'done' })))
  })

  test('one that fails is tried again later, and its fault is on record meanwhile', LONG, async () => {
    const attempts: number[] = []
    const runner = await begin(async ({ attempt }) => {
      attempts.push(attempt)
      if (attempt === 1) throw new Error('the model is away')
    })
    const from = Date.now()
    const id = await runner.add('work', { a: 1 })
    await expect
      .poll(() => failures, PATIENT)
      .toEqual([{ id, kind: 'work', attempt: 1, error: 'the model is away', isDead: false }])
    await expect
      .poll(async () => (await runner.list({ state: 'failed', limit: 1 }))[0] ?? attempts.length, PATIENT)
      .toSatisfy(
        (found) =>
          found === 2 || (found.id === id && found.lastError === 'the model is away' && found.runAt > from + 2000),
      )
    await becomes(runner, id, 'gone')
    expect(attempts).toEqual([1, 2])
    expect(Date.now() - from).toBeGreaterThan(2000)
  })

  test('those that failed together return apart: after the same time, a fifth more or less', LONG, async () => {
    const failedAt = new Map<number, number>()
    const run: Handler = async ({ id }) => {
      failedAt.set(id, Date.now())
      mayRun = failedAt.size < 40
      throw new Error('no')
    }
    const runner = await begin(run, { concurrency: 40 })
    for (let n = 0; n < 40; n += 1) await runner.add('work', { n })
    await expect.poll(() => failures.filter(({ attempt }) => attempt === 1).length, PATIENT).toBe(40)
    await expect.poll(async () => (await runner.list({ state: 'failed', limit: 100 })).length, PATIENT).toBe(40)
    // Those that came back before the last had failed have waited for their second time.
    const first = (await runner.list({ limit: 100 })).filter(({ attempts }) => attempts === 1)
    const waits = first.map(({ id, runAt }) => runAt - (failedAt.get(id) ?? 0))
    expect(waits.length).toBeGreaterThan(10)
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(800 * Math.E - 5)
    // What an engine takes to write it down only adds to it.
    expect(Math.min(...waits)).toBeLessThan(950 * Math.E)
    expect(Math.max(...waits)).toBeGreaterThan(Math.min(...waits) + 100 * Math.E)
  })

  test('one that fails every time is dead, and is retried by hand with all its attempts', LONG, async () => {
    let isMended = false
    const attempts: number[] = []
    const runner = await begin(async ({ attempt }) => {
      attempts.push(attempt)
      if (!isMended) throw new Error('no')
    })
    const id = await runner.add('work', { a: 1 }, { maxAttempts: 2 })
    await becomes(runner, id, 'dead')
    expect(attempts).toEqual([1, 2])
    expect(failures.map(({ isDead }) => isDead)).toEqual([false, true])
    expect(await runner.list({ state: 'dead', kind: 'work', limit: 10 })).toMatchObject([
      { id, attempts: 2, maxAttempts: 2, lastError: 'no', payload: { a: 1 } },
    ])
    expect(await runner.figures()).toMatchObject([{ kind: 'work', dead: 1, waiting: 0, failed: 0, running: 0 }])
    isMended = true
    await runner.retry(id)
    await becomes(runner, id, 'gone')
    expect(attempts).toEqual([1, 2, 1])
  })

  test('a kind says how many attempts a job has that does not say so itself', LONG, async () => {
    const runner = await begin(() => Promise.reject(new Error('no')), { maxAttempts: 1 })
    const id = await runner.add('work', {}, { maxAttempts: 1 })
    await becomes(runner, id, 'dead')
  })

  test('all that are dead of a kind are retried together, and one is discarded', LONG, async () => {
    let isMended = false
    const runner = await begin(async () => {
      if (!isMended) throw new Error('no')
    })
    const ids = await Promise.all([1, 2, 3].map((n) => runner.add('work', { n }, { maxAttempts: 1 })))
    await expect.poll(async () => (await runner.list({ state: 'dead', limit: 9 })).length, PATIENT).toBe(3)
    await runner.discard(ids[0] ?? 0)
    await expect(runner.discard(ids[0] ?? 0)).rejects.toMatchObject({ code: 'not_found' })
    isMended = true
    expect(await runner.retryAll('other')).toBe(0)
    expect(await runner.retryAll('work')).toBe(2)
    await expect.poll(() => runner.list({ limit: 9 }), PATIENT).toEqual([])
    expect(outcomes.filter(({ outcome }) => outcome === 'done').length).toBe(2)
  })

  test('one that takes too long has failed, whatever its handler goes on to do', LONG, async () => {
    const signals: AbortSignal[] = []
    const runner = await begin(
      ({ signal }) => {
        signals.push(signal)
        return new Promise(() => {})
      },
      { timeLimitMs: 100 },
    )
    const id = await runner.add('work', {}, { maxAttempts: 1 })
    await becomes(runner, id, 'dead')
    expect(signals.map(({ aborted }) => aborted)).toEqual([true])
    expect(outcomes).toEqual([{ kind: 'work', outcome: 'timed_out' }])
    expect(failures[0]?.error).toBe('It took longer than 0.1 s')
  })

  test('two runners never have one job at a time', LONG, async () => {
    const now = new Set<number>()
    const runs = new Map<number, number>()
    let twice = 0
    const run: Handler = async ({ id }) => {
      if (now.has(id)) twice += 1
      now.add(id)
      runs.set(id, (runs.get(id) ?? 0) + 1)
      await new Promise((resolve) => setTimeout(resolve, 5))
      now.delete(id)
    }
    const [a, b] = [await jobs(), await jobs()]
    await Promise.all(Array.from({ length: 100 }, (_, n) => a.add('work', { n })))
    await Promise.all([begin(run, {}, a), begin(run, {}, b)])
    await expect.poll(() => a.list({ limit: 9 }), PATIENT).toEqual([])
    expect(twice).toBe(0)
    expect([runs.size, Math.max(...runs.values())]).toEqual([100, 1])
  })

  test('no more run at a time than the kind allows, and as many as that', LONG, async () => {
    let now = 0
    let most = 0
    const waiting: (() => void)[] = []
    const runner = await begin(
      async () => {
        now += 1
        most = Math.max(most, now)
        await new Promise<void>((resolve) => waiting.push(resolve))
        now -= 1
      },
      { concurrency: 3 },
    )
    await Promise.all(Array.from({ length: 12 }, (_, n) => runner.add('work', { n })))
    for (let round = 0; round < 4; round += 1) {
      await expect.poll(() => waiting.length, PATIENT).toBe(3)
      waiting.splice(0).forEach((go) => go())
    }
    await expect.poll(() => runner.list({ limit: 9 }), PATIENT).toEqual([])
    expect(most).toBe(3)
  })

  test('a job whose process was killed is run again, by another', LONG, async () => {
    const first = await jobs()
    const id = await first.add('work', { a: 1 })
    await closeAll()
    await subject.killWhileRunning('work')
    const attempts: [number, number][] = []
    const runner = await begin(async (job) => void attempts.push([job.id, job.attempt]))
    await becomes(runner, id, 'gone')
    expect(attempts).toEqual([[id, 2]])
  })

  test(
    'who stops waits for a job that ends soon, and hands over one that does not, at once and without a lost attempt',
    LONG,
    async () => {
      const [ending, lasting] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
      const signals: AbortSignal[] = []
      const runner = await begin(({ payload, signal }) => {
        signals.push(signal)
        return payload['n'] === 1 ? ending.promise : lasting.promise
      })
      const soon = await runner.add('work', { n: 1 })
      const late = await runner.add('work', { n: 2 })
      await expect.poll(() => signals.length, PATIENT).toBe(2)
      opened = []
      const closing = runner.close({ drainMs: 1500 })
      ending.resolve()
      const next = await jobs()
      const seen: RunningJob[] = []
      await closing
      expect(signals.map(({ aborted }) => aborted).toSorted()).toEqual([false, true])
      expect(outcomes.map(({ outcome }) => outcome)).toEqual(['done', 'released'])
      await begin(async (job) => void seen.push(job), {}, next)
      await expect.poll(() => stateOf(next, late), PATIENT).toBe('gone')
      lasting.resolve()
      expect(seen).toMatchObject([{ id: late, attempt: 1 }])
      expect(await stateOf(next, soon)).toBe('gone')
    },
  )

  test('what is due again and again is done by one of two, each time', LONG, async () => {
    const runs: number[] = []
    const cron = [{ name: 'tidy', everyMs: 300, timeLimitMs: 10_000, run: async () => void runs.push(Date.now()) }]
    const both = [await jobs(), await jobs()]
    const from = Date.now()
    await Promise.all(both.map((runner) => runner.start({ handlers: {}, cron })))
    await expect.poll(() => runs.length, PATIENT).toBeGreaterThan(6)
    expect(runs.length).toBeLessThanOrEqual((Date.now() - from) / 300 + 1)
    expect(outcomes.every(({ kind, outcome }) => kind === 'tidy' && outcome === 'done')).toBe(true)
  })

  test('a kind that nobody works waits, and no attempt of it is lost', LONG, async () => {
    const runner = await jobs()
    const id = await runner.add('other', { a: 1 })
    await begin(async () => {}, {}, runner)
    await runner.add('work', {})
    await expect.poll(async () => (await runner.list({ kind: 'work', limit: 9 })).length, PATIENT).toBe(0)
    expect(await runner.list({ limit: 9 })).toMatchObject([{ id, kind: 'other', state: 'waiting', attempts: 0 }])
  })

  test('a job for later runs later, and one with its key takes its place', LONG, async () => {
    const seen: unknown[] = []
    const runner = await begin(async ({ payload }) => void seen.push(payload))
    const later = await runner.add('work', { n: 1 }, { key: 'one', runAt: Date.now() + 3_600_000 })
    expect(await stateOf(runner, later)).toBe('waiting')
    await runner.add('work', { n: 2 }, { key: 'one' })
    await expect.poll(() => runner.list({ limit: 9 }), PATIENT).toEqual([])
    expect(seen).toEqual([{ n: 2 }])
  })

  test('nothing begins while requests need the machine', LONG, async () => {
    mayRun = false
    const seen: number[] = []
    const runner = await begin(async ({ id }) => void seen.push(id))
    const id = await runner.add('work', {})
    await new Promise((resolve) => setTimeout(resolve, 400))
    expect(seen).toEqual([])
    mayRun = true
    await becomes(runner, id, 'gone')
    expect(seen).toEqual([id])
  })

  test('one that runs is neither retried nor discarded', LONG, async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    let running = false
    const runner = await begin(() => {
      running = true
      return promise
    })
    const id = await runner.add('work', {})
    await expect.poll(() => running, PATIENT).toBe(true)
    expect(await stateOf(runner, id)).toBe('running')
    await expect(runner.retry(id)).rejects.toMatchObject({ code: 'conflict' })
    await expect(runner.discard(id)).rejects.toMatchObject({ code: 'conflict' })
    await expect(runner.retry(id + 1000)).rejects.toMatchObject({ code: 'not_found' })
    resolve()
    await becomes(runner, id, 'gone')
  })

  test('hostile text in a payload and in an error comes to no harm', LONG, async () => {
    const nasty = [
      '\0',
      '\uD800',
      "'; drop table jobs; --",
      '\u202Eabc',
      '🦄',
      '\\u0000',
      '"',
      '${x}',
      '\u001B[2J',
      '%s%n',
    ]
    const payload = JSON.parse(JSON.stringify({ nasty, deep: { __proto: nasty }, 'key \u2028 "x"': nasty.join('') }))
    const seen: unknown[] = []
    const runner = await begin(async (job) => {
      seen.push(job.payload)
      throw new Error(
        `${nasty.join(' ')} postgres://me:hunter2@db/x of ann.smith@example.com Authorization: Bearer abcdef0123456789 api_key=tr0ub4dor ${'x'.repeat(100_000)}`,
      )
    })
    const id = await runner.add('work', payload, { maxAttempts: 1 })
    await becomes(runner, id, 'dead')
    expect(seen).toEqual([payload])
    const [job] = await runner.list({ limit: 1 })
    expect(job?.payload).toEqual(payload)
    const error = job?.lastError ?? ''
    expect(error.length).toBeLessThanOrEqual(500)
    expect(error).toContain('drop table jobs')
    expect(error.isWellFormed()).toBe(true)
    expect(error).not.toMatch(/hunter2|ann\.smith|abcdef0123|tr0ub4dor|\p{Cc}/u)
    await expect(runner.add('work', { text: 'x'.repeat(70_000) })).rejects.toMatchObject({ code: 'too_large' })
  })

  test('a page of jobs ends where the next begins', LONG, async () => {
    const runner = await jobs()
    for (let n = 0; n < 5; n += 1) await runner.add('work', { n })
    const first = await runner.list({ limit: 3 })
    const rest = await runner.list({ limit: 3, before: first.at(-1)?.id })
    expect([...first, ...rest].map(({ payload }) => payload['n'])).toEqual([4, 3, 2, 1, 0])
    expect(await runner.figures()).toMatchObject([{ kind: 'work', waiting: 5 }])
  })
}
