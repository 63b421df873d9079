import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { articleHash, ARTICLES_LIMIT, formatOf, titleOf } from '../../src/core/article.ts'
import { AppError } from '../../src/core/errors.ts'
import { excerptOf } from '../../src/core/excerpt.ts'
import { openSqliteArticles } from '../../src/store/sqlite-articles.ts'
import { storePath } from '../../src/store/sqlite-files.ts'
import { erasePerson } from '../../src/store/sqlite-forget.ts'
import { createChunker } from '../../src/triage/chunker.ts'
import type { Document } from '../../src/triage/finder.ts'
import { createLibrary } from '../../src/work/library.ts'
import { search } from '../../src/work/search.ts'
import { startShelf } from '../../src/work/shelf.ts'
import { temporaryDirectory } from '../server.ts'

describe('an article is called', () => {
  const cases: [what: string, body: string, title: string, more?: Partial<Parameters<typeof titleOf>[0]>][] = [
    ['what its front matter says', '---\ntags: [a]\ntitle: "Reset: how"\n---\n# Other', 'Reset: how'],
    ['that without quotes or comment', '---\r\ntitle: Reset it # soon\r\n---\r\nx', 'Reset it'],
    ['its first heading', 'Intro\n\n## *Reset* `it` ##\n\n# Other', 'Reset it'],
    ['no comment in code', '```sh\n# not this\n```\n\n# This', 'This'],
    ['no empty title', '---\ntitle: \n---\n# This', 'This'],
    ['its heading in HTML', '<title>T</title><h1 class="a">Printers <b>&amp;</b> paper</h1>', 'T', { format: 'html' }],
    ['its file', 'Words alone.', 'reset password', { source: 'kb/reset-password.md' }],
    ['its page', 'Words alone.', 'reset', { source: 'https://x.example/kb/reset?a=1', format: 'text' }],
    ['its first line', '\nWords alone.\nMore.', 'Words alone.'],
  ]
  test.each(cases)('%s', (_what, body, title, more = {}) => {
    expect(titleOf({ body, format: 'markdown', source: null, ...more })).toBe(title)
  })

  test('something in any case, cut where it is too long', () => {
    expect(titleOf({ body: `# ${'long '.repeat(1000)}`, format: 'markdown', source: null }).length).toBeLessThan(501)
    expect(titleOf({ body: '…', format: 'html', source: '//' })).toBe('…')
  })
})

test('a file is an article by its ending', () => {
  const files = ['a.md', 'a.MARKDOWN', 'b/a.html', 'a.htm', 'a.txt', 'a.pdf', 'md', 'a.md.bak']
  expect(files.map(formatOf)).toEqual(['markdown', 'markdown', 'html', 'html', 'text', null, null, null])
})

test('an excerpt is where the first word stands that was asked for', () => {
  const text = `${'Nothing of interest. '.repeat(30)}The connection drops every minute. ${'And so on. '.repeat(30)}`
  expect(excerptOf(text, 'to drops')).toMatch(/^….*connection drops every.*…$/)
  expect(excerptOf(text, 'zzz')).toMatch(/^Nothing of interest.*…$/)
  expect(excerptOf(' short\n\ntext ')).toBe('short text')
  for (const q of ['drops', '', 'nothing']) expect(excerptOf(text, q).length).toBeLessThan(250)
})

describe('the chunker', () => {
  test('cuts without the front matter, and goes on after what it could not read', { timeout: 60_000 }, async () => {
    const chunker = createChunker({ timeLimitMs: 5000 })
    const cut = (body: string) => chunker.chunks({ title: 'T', body, format: 'markdown' })
    expect(await cut('---\ntitle: T\n---\nOne.\n\n## Two\n\nThree.')).toEqual([
      { heading: 'T', text: 'One.' },
      { heading: 'T › Two', text: 'Three.' },
    ])
    const [slow, deep, good] = await Promise.allSettled([
      cut('__a'.repeat(100_000)),
      cut(`${'> '.repeat(20_000)}x`),
      cut('Good.'),
    ])
    expect(slow).toMatchObject({ reason: { code: 'malformed', message: /more than 5 s/ } })
    expect(deep).toMatchObject({ reason: { code: 'malformed' } })
    expect(good).toMatchObject({ value: [{ heading: 'T', text: 'Good.' }] })
    await chunker.close()
  })

  test('lets only so many wait', async () => {
    const chunker = createChunker()
    const all = await Promise.allSettled(
      Array.from({ length: 60 }, () => chunker.chunks({ title: 'T', body: 'x', format: 'text' })),
    )
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(50)
    expect(all.at(-1)).toMatchObject({ reason: { code: 'unavailable' } })
    await chunker.close()
  })
})

describe('with a store', () => {
  let directory: string
  let store: ReturnType<typeof openSqliteArticles>
  const chunker = {
    chunks: async ({ title, body }: { title: string; body: string }) => [{ heading: title, text: body }],
  }
  const add = async (body: string, over: { source?: string; title?: string } = {}) =>
    (
      await createLibrary({ store, chunker }).add(
        { source: over.source ?? null, title: over.title ?? 'T', format: 'text', labels: [], body },
        1,
      )
    ).id
  beforeEach(async () => {
    directory = await temporaryDirectory()
    store = openSqliteArticles(directory)
  })
  afterEach(async () => {
    await Promise.all(started.splice(0).map((shelf) => shelf.close()))
    store.close()
    await rm(directory, { recursive: true, force: true })
  })

  test('what is not within bounds is refused, by whatever way it comes', async () => {
    const library = createLibrary({ store, chunker })
    const given = { source: null, title: null, format: null, labels: [], body: 'x' }
    for (const over of [
      { body: ' ' },
      { body: 'x'.repeat(1_000_001) },
      { source: 'x'.repeat(501) },
      { title: 'x'.repeat(501) },
      { labels: ['x'.repeat(61)] },
      { labels: Array.from({ length: 21 }, (_, index) => `${index}`) },
    ]) {
      const [field] = Object.keys(over)
      const refused = expect.stringMatching(new RegExp(`^${field}: `))
      await expect(library.add({ ...given, ...over }, 1)).rejects.toMatchObject({ code: 'malformed', message: refused })
    }
    expect(await store.versions()).toEqual([])
  })

  test('what is as it was is not cut again', async () => {
    let cuts = 0
    const counting = {
      chunks: async () => {
        cuts += 1
        return []
      },
    }
    const library = createLibrary({ store, chunker: counting })
    const given = { source: 'a', title: null, format: null, labels: [], body: 'x' }
    const outcomes = [
      await library.add(given, 1),
      await library.add(given, 2),
      await library.change(1, { body: 'y' }, 3),
    ]
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['created', 'unchanged', 'updated'])
    expect(cuts).toBe(2)
  })

  test('there are only so many articles', async () => {
    await add('first', { source: 'first' })
    const db = new DatabaseSync(storePath(directory))
    db.exec(`
      with recursive n (n) as (select 2 union all select n + 1 from n where n < ${ARTICLES_LIMIT})
      insert into articles (title, format, labels, sha256, size, created_at, updated_at, words, body)
      select 't', 'text', '[]', '', 0, 0, 0, '', '' from n`)
    db.close()
    await expect(add('more')).rejects.toMatchObject({ code: 'conflict' })
    expect(await add('second', { source: 'first' })).toBe(1)
  })

  test('erasing a person takes the address out of articles, their pieces and their words', async () => {
    const body = 'Write to Ada@example.com, or to joada@example.com.'
    const id = await add(body, { source: 'kb/ada@example.com.txt', title: 'Ask ada@example.com' })
    const other = await add('Nothing about anybody.')
    const before = await store.article(id)
    const [piece] = await store.chunks(id, null)
    await store.saveChunkVectors('m', new Map([[piece?.id ?? 0, Int8Array.of(1)]]))
    let told = 0
    const stop = store.onArticlesChanged(() => (told += 1))
    const erase = (isDry: boolean) =>
      erasePerson({ directory, email: 'ada@example.com', isDry, actor: 'test', now: 1, onProgress: () => {} })
    expect(await erase(true)).toMatchObject({ articles: 1 })
    expect((await store.article(id))?.body).toBe(body)
    expect(await erase(false)).toMatchObject({ articles: 1, files: [] })
    const after = await store.article(id)
    expect(after).toMatchObject({ title: 'Ask [erased]', source: `kb/[erased].txt#${id}` })
    expect(after?.body).toMatch(/^Write to \[erased\], or to /)
    expect(after?.sha256).not.toBe(before?.sha256)
    expect(after?.sha256).toBe(after && articleHash(after))
    expect(await store.chunks(id, 'm')).toEqual([
      { id: piece?.id, heading: 'Ask [erased]', text: after?.body, vector: null },
    ])
    expect(await store.articles({ q: 'ada', limit: 10 })).toEqual([])
    expect((await store.article(other))?.body).toBe('Nothing about anybody.')
    // A server that runs beside reads it anew.
    await expect.poll(() => told, { timeout: 5000 }).toBeGreaterThan(0)
    stop()
    expect(await erase(false)).toMatchObject({ articles: 0 })
  })

  test('a search puts what holds the words before what is only a little alike', async () => {
    const [near, exact, both, weak] = [await add('a'), await add('ann-4711'), await add('ann-4711 too'), await add('b')]
    const scores = new Map([
      [near, 0.5],
      [both, 0.15],
      [weak, 0.11],
    ])
    const found = [...scores].map(([id, score]) => ({
      id,
      score,
      title: 'T',
      source: null,
      chunk: { id, heading: '', text: '' },
    }))
    const { hits } = await search(
      {
        store: { ticket: async () => null, tickets: async () => [], articleStore: store },
        triage: { search: async () => ({ tickets: [], articles: found }) },
      },
      { q: 'ann-4711', limit: 5 },
    )
    expect(hits.map(({ id, score }) => [id, score])).toEqual([
      [near, 0.5],
      [both, 0.15],
      [exact, null],
      [weak, 0.11],
    ])
  })

  test('a search goes on by words while the engine does not answer, and stops at any other fault', async () => {
    const id = await add('The vpn drops.', { source: 'kb/vpn.txt' })
    const failing = (error: Error) => ({
      search: async () => {
        throw error
      },
    })
    const ask = (error: Error) =>
      search(
        { store: { ticket: async () => null, tickets: async () => [], articleStore: store }, triage: failing(error) },
        { q: 'vpn', limit: 5 },
      )
    expect(await ask(new AppError('unavailable', 'The triage engine stopped'))).toEqual({
      hits: [
        { kind: 'article', id, title: 'T', excerpt: 'The vpn drops.', score: null, status: null, source: 'kb/vpn.txt' },
      ],
      note: 'The triage engine stopped: found by whole words alone',
    })
    await expect(ask(new TypeError('ours'))).rejects.toThrow('ours')

    const silent = {
      search: async (_q: string, _limit: number, signal: AbortSignal) => {
        await once(signal, 'abort')
        throw signal.reason
      },
    }
    const { note } = await search(
      { store: { ticket: async () => null, tickets: async () => [], articleStore: store }, triage: silent },
      { q: 'vpn', limit: 5 },
    )
    expect(note).toContain('takes too long')
  })

  /** An engine as the shelf sees one, whose embedder can be taken away and whose thread can die. */
  function engine() {
    const state = { embedder: 'e' as string | null, problem: null as string | null, restarts: 0, embedMs: 0 }
    const found = new Map<number, Document>()
    let embedded = 0
    return {
      status: state,
      found,
      embedded: () => embedded,
      die: () => {
        found.clear()
        state.restarts += 1
      },
      index: async (documents: readonly Document[]) =>
        documents.forEach((one) =>
          found.set(one.id, { ...one, vector: one.vector ?? found.get(one.id)?.vector ?? null }),
        ),
      forget: async (_kind: string, ids: readonly number[]) => ids.forEach((id) => found.delete(id)),
      embed: async (texts: readonly string[]) => {
        if (state.problem !== null) return texts.map(() => null)
        await delay(state.embedMs)
        const known = texts.filter((text) => !text.includes('日本'))
        embedded += known.length
        return texts.map((text) => (known.includes(text) ? Float32Array.of(1, text.length) : null))
      },
      state: async () => ({ ...state, category: NONE, priority: NONE }),
    }
  }
  const NONE = { examples: 0, classes: 0, trials: 0, threshold: null }
  const started: ReturnType<typeof startShelf>[] = []
  function start(by: ReturnType<typeof engine>) {
    const shelf = startShelf({ store, engine: by, onError: (error) => expect.unreachable(String(error)), pollMs: 100 })
    started.push(shelf)
    return shelf
  }

  test('the shelf holds what is there, forgets what is gone, and asks for a meaning once', async () => {
    const one = engine()
    const first = await add('one')
    await add('日本 two')
    const shelf = start(one)
    const texts = () => [...one.found.values()].map(({ text }) => text).toSorted()
    await expect.poll(texts).toEqual(['T\none', 'T\n日本 two'])
    await expect.poll(one.embedded).toBe(1)
    await add('three', { source: 's' })
    await expect.poll(texts).toContain('T\nthree')
    await add('four', { source: 's' })
    await expect.poll(texts).toEqual(['T\nfour', 'T\none', 'T\n日本 two'])
    await store.removeArticle(first)
    await expect.poll(texts).toEqual(['T\nfour', 'T\n日本 two'])
    await expect.poll(() => [...one.found.values()].filter(({ vector }) => vector).length).toBe(1)
    await shelf.close()

    // Another process, or the next start: what it means is read, and not asked for again.
    const next = engine()
    const other = start(next)
    await expect.poll(() => [...next.found.values()].filter(({ vector }) => vector).length).toBe(1)
    await delay(50)
    expect(next.embedded()).toBe(0)
    await other.close()
  })

  test(
    'without its embedder pieces are found by their words, and by their meaning once it is back',
    { timeout: 60_000 },
    async () => {
      const one = engine()
      one.status.problem = 'down'
      await add('one')
      const shelf = start(one)
      await expect.poll(() => one.found.size).toBe(1)
      expect([...one.found.values()][0]?.vector).toBeNull()
      one.status.problem = null
      await expect.poll(() => [...one.found.values()][0]?.vector).not.toBeNull()
      one.die()
      await expect.poll(() => one.found.size).toBe(1)
      expect(one.embedded()).toBe(1)
      await shelf.close()
    },
  )

  test('an article that comes while many are read is found by its words at once', async () => {
    const one = engine()
    one.status.embedMs = 100
    for (let made = 0; made < 50; made += 1) await add(`article ${made}`)
    start(one)
    await expect.poll(one.embedded).toBeGreaterThan(0)
    await add('late')
    await expect.poll(() => [...one.found.values()].map(({ text }) => text)).toContain('T\nlate')
    expect(one.embedded()).toBeLessThan(40)
  })
})
