import type * as WorkerThreads from 'node:worker_threads'

import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest'

import { CATEGORIES } from '../../src/triage/categories.ts'
import { createDesk, type LabelledTicket, ticketText } from '../../src/triage/desk.ts'
import { createEngine, type Engine } from '../../src/triage/engine.ts'
import { fakeServer, freePort, listening } from '../cli.ts'

/** Real threads; only so that a test can kill one. */
const threads = vi.hoisted(() => [] as { terminate: () => Promise<number> }[])
vi.mock('node:worker_threads', async (original) => {
  const real = await original<typeof WorkerThreads>()
  class Worker extends real.Worker {
    constructor(...args: ConstructorParameters<typeof real.Worker>) {
      super(...args)
      threads.push(this)
    }
  }
  return { ...real, Worker }
})

const TIME = 120_000
const engines: Engine[] = []
afterAll(async () => {
  for (const engine of engines) await engine.close()
})
beforeEach(() => {
  threads.length = 0
})

function engineWith(config: Partial<Parameters<typeof createEngine>[0]>): Engine {
  const engine = createEngine({ embedder: { kind: 'none' }, categories: CATEGORIES, ...config })
  engines.push(engine)
  return engine
}

const labelled = (text: string, category: string): LabelledTicket => ({ text, category, priority: null, vector: null })
const LESSON = Array.from({ length: 30 }, (_, at) => [
  labelled(`the espresso machine in kitchen ${at} leaks`, 'coffee'),
  labelled(`my plant in room ${at} has no water`, 'plants'),
]).flat()

// What the specification sends, without the categories and priorities that its senders say.
const EXAMPLES = [
  {
    title: 'Password reset not working',
    description: "I've tried resetting my password multiple times but never receive the email.",
    category: ['account_access'],
    priority: ['high', 'medium'],
  },
  {
    title: 'API integration failing',
    description: 'Our API calls are returning 500 errors since this morning.',
    category: ['technical', 'integration'],
    priority: ['urgent', 'high'],
  },
  {
    title: 'Feature request: Dark mode',
    description: 'Users are requesting a dark mode option for the dashboard.',
    category: ['feature_request'],
    priority: ['medium', 'low'],
  },
  {
    title: 'Billing inquiry',
    description: 'Question about monthly subscription charges',
    category: ['billing'],
    priority: ['low'],
  },
]

describe.each(['bundled', 'none'] as const)('the specification’s examples, embedder %s', (kind) => {
  const engine = engineWith({ embedder: { kind } })

  test.each(EXAMPLES)('$title', { timeout: TIME }, async ({ title, description, category, priority }) => {
    const opinion = await engine.classify(ticketText({ title, description }))
    expect(opinion).toMatchObject({ language: 'en', problem: null, category: { source: 'description', isSure: false } })
    expect(category).toContain(opinion.category?.value)
    expect(priority).toContain(opinion.priority?.value)
    expect(opinion.vector?.length ?? null).toBe(kind === 'none' ? null : 512)
  })
})

test('the bundled embedder brings together what says the same in other words', { timeout: TIME }, async () => {
  const engine = engineWith({ embedder: { kind: 'bundled' } })
  const texts = [
    'I forgot my password',
    'Cannot sign in any more',
    'The parcel is late',
    'Ich habe mein Passwort nicht',
  ]
  const [one, near, far, german] = await engine.embed(texts)
  expect(german).toBeNull()
  const ticket = { kind: 'ticket' as const, isSolved: false }
  await engine.index([
    { ...ticket, id: 1, text: texts[2] as string, vector: far ?? null },
    { ...ticket, id: 2, text: texts[1] as string, vector: near ?? null },
  ])
  const found = await engine.find({ text: texts[0] as string, vector: one ?? null, limit: 5 })
  expect(found[0]).toMatchObject({ id: 2 })
  await engine.forget('ticket', [2])
  const left = await engine.find({ text: texts[0] as string, vector: one ?? null, limit: 5 })
  expect(left.map(({ id }) => id)).not.toContain(2)
})

test('learns, keeps what it learned as bytes, and another engine takes them', { timeout: TIME }, async () => {
  const engine = engineWith({})
  expect(await engine.save()).toBeNull()
  expect(await engine.learn(LESSON)).toMatchObject({ category: { examples: 60 }, priority: { examples: 0 } })
  const bytes = await engine.save()
  const other = engineWith({ load: async () => bytes })
  const opinion = await other.classify('espresso leaks')
  expect(opinion.category).toMatchObject({ value: 'coffee', source: 'model' })
  expect(await other.state()).toMatchObject({ category: { examples: 60 }, embedder: null, restarts: 0 })
})

test(
  'a thread that dies rejects what it was asked, and the next one knows what was learned',
  { timeout: TIME },
  async () => {
    const notices: string[] = []
    let saved: Uint8Array | null = null
    const engine = engineWith({ load: async () => saved, onNotice: (text) => notices.push(text) })
    await engine.learn(LESSON)
    saved = await engine.save()

    const many = Array.from({ length: 4000 }, (_, at) => labelled(`ticket ${at} about thing ${at % 97}`, `c${at % 40}`))
    const learning = engine.learn(many)
    const rejected = expect(learning).rejects.toMatchObject({ code: 'unavailable' })
    // It answers while it learns.
    await engine.classify('plants')
    await threads[0]?.terminate()
    await rejected
    await vi.waitFor(async () => expect((await engine.state()).restarts).toBe(1), { timeout: 60_000 })
    expect((await engine.classify('espresso leaks')).category?.value).toBe('coffee')
    expect(notices).toEqual([expect.stringContaining('stopped')])
  },
)

test('stops learning when it is told to, and what it knew stays', { timeout: TIME }, async () => {
  const engine = engineWith({})
  await engine.learn(LESSON)
  const many = Array.from({ length: 2000 }, (_, at) => labelled(`ticket ${at} about thing ${at % 97}`, `c${at % 40}`))
  const stop = new AbortController()
  const learning = engine.learn(many, stop.signal)
  const rejected = expect(learning).rejects.toThrow()
  stop.abort()
  await rejected
  expect(await engine.state()).toMatchObject({ category: { examples: 60 } })
})

test('a closed engine says so', { timeout: TIME }, async () => {
  const engine = createEngine({ embedder: { kind: 'none' }, categories: CATEGORIES })
  const asked = engine.classify('x').catch((error: unknown) => error)
  await engine.close()
  await asked
  await expect(engine.classify('x')).rejects.toThrow('closed')
  await expect(engine.learn([])).rejects.toThrow('closed')
})

test('bytes that are none of ours are not taken', { timeout: TIME }, async () => {
  const engine = engineWith({ load: async () => Uint8Array.of(1, 2, 3) })
  expect(await engine.state()).toMatchObject({ category: { examples: 0 } })
  expect((await engine.classify('My invoice is wrong')).category?.value).toBe('billing')
})

describe('an embedder that fails', () => {
  test('leaves the words, and says so in one line', { timeout: TIME }, async () => {
    const port = await freePort()
    const engine = engineWith({
      embedder: { kind: 'openai', url: `http://127.0.0.1:${port}/v1`, model: 'm', key: 'sk-secret' },
    })
    const opinion = await engine.classify('My invoice is wrong')
    expect(opinion).toMatchObject({ category: { value: 'billing' }, vector: null, embedder: null })
    expect(opinion.problem).toBe(`Without vectors for now: http://127.0.0.1:${port} cannot be reached`)
  })

  test('is asked again after a minute, not for each ticket', async () => {
    let [time, asked] = [0, 0]
    const broken = {
      id: 'broken',
      dims: null,
      languages: null,
      embed: async () => {
        asked += 1
        throw new Error('the file is damaged')
      },
    }
    const desk = createDesk({ embedder: broken, categories: CATEGORIES, precision: 0.95, now: () => time })
    const { signal } = new AbortController()
    for (let at = 0; at < 5; at += 1) {
      const opinion = await desk.judge('My invoice is wrong', signal)
      expect(opinion).toMatchObject({ problem: 'Without vectors for now: the file is damaged', vector: null })
    }
    expect(asked).toBe(1)
    time = 61_000
    await desk.judge('My invoice is wrong', signal)
    expect(asked).toBe(2)
  })
})

test('the descriptions are read once, however many tickets come before they are', async () => {
  let asked = 0
  const counting = {
    id: 'counting',
    dims: null,
    languages: null,
    embed: async (texts: readonly string[]) => {
      asked += texts.length
      return texts.map((text) => Float32Array.of(text.length, 1))
    },
  }
  const desk = createDesk({ embedder: counting, categories: CATEGORIES, precision: 0.95, now: () => 0 })
  const stopped = new AbortController()
  const [first, ...others] = Array.from({ length: 10 }, (_, at) =>
    desk.judge(`Invoice ${at} is wrong`, at === 0 ? stopped.signal : new AbortController().signal),
  )
  // Who asked first is no longer there: the others still are.
  stopped.abort()
  await first?.catch(() => {})
  for (const { vector } of await Promise.all(others)) expect(vector).not.toBeNull()
  expect(asked).toBeLessThanOrEqual(CATEGORIES.length * 2 + 10)
})

describe('an embedder on a server', () => {
  const vectorOf = (text: string) => (/invoice|billing/i.test(text) ? [3, 0, 0] : [0, 2, 1])

  test.each(['openai', 'ollama'] as const)(
    '%s: is asked in batches, with its key, and again after a 429',
    { timeout: TIME },
    async (kind) => {
      const seen: { path: string | undefined; key: string | undefined; count: number }[] = []
      const server = fakeServer(async (request, response) => {
        let body = ''
        for await (const chunk of request) body += chunk
        const { input, model } = JSON.parse(body) as { input: string[]; model: string }
        seen.push({ path: request.url, key: request.headers.authorization, count: input.length })
        if (seen.length === 1) return void response.writeHead(429, { 'retry-after': '0' }).end()
        expect(model).toBe('m')
        const vectors = input.map(vectorOf)
        const data = vectors.map((embedding, index) => ({ index, embedding })).toReversed()
        response.end(JSON.stringify(kind === 'openai' ? { data } : { embeddings: vectors }))
      })
      await listening(server, async (port) => {
        const url = `http://127.0.0.1:${port}${kind === 'openai' ? '/v1' : ''}`
        const engine = engineWith({ embedder: { kind, url, model: 'm', key: 'sk-1' }, categories: [] })
        const texts = Array.from({ length: 70 }, (_, at) => (at === 69 ? 'invoice' : `text ${at}`))
        const vectors = await engine.embed(texts)
        expect(vectors).toHaveLength(70)
        expect(vectors[69]).toEqual(Float32Array.of(1, 0, 0))
        expect(vectors[0]?.[0]).toBe(0)
        const path = kind === 'openai' ? '/v1/embeddings' : '/api/embed'
        expect(seen.map(({ count }) => count)).toEqual(expect.arrayContaining([64, 6]))
        expect(seen.every((one) => one.path === path && one.key === 'Bearer sk-1')).toBe(true)
      })
    },
  )

  const BAD = [
    ['{"data":[{"embedding":[1]},{"embedding":[1]}]}', 'did not answer with one vector a text'],
    ['<html>', 'answered something that is no JSON'],
    ['{}', 'did not answer with one vector a text'],
  ]
  test.each(BAD)('that answers %s is done without', { timeout: TIME }, async (body, reason) => {
    await listening(
      fakeServer((_request, response) => void response.end(body)),
      async (port) => {
        const engine = engineWith({
          embedder: { kind: 'openai', url: `http://127.0.0.1:${port}`, model: 'm' },
          categories: [],
        })
        expect((await engine.classify('text')).problem).toContain(reason)
      },
    )
  })
})
