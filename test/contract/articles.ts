import { afterEach, describe, expect, test } from 'vitest'

import { articleHash, type NewArticle } from '../../src/core/article.ts'
import type { OpenSubject } from './store.ts'

const AT = Date.UTC(2026, 10, 30)

/** An article as the library hands it to a store. */
function articleOf(over: Partial<Omit<NewArticle, 'sha256'>> = {}): NewArticle {
  const article = {
    source: 'docs/vpn.md',
    title: 'Set up the VPN',
    format: 'markdown' as const,
    labels: ['network'],
    body: '# Set up the VPN\n\nInstall the client.\n\n## Certificates\n\nThey expire every year.',
    chunks: [
      { heading: 'Set up the VPN', text: 'Install the client.' },
      { heading: 'Set up the VPN › Certificates', text: 'They expire every year.' },
    ],
    ...over,
  }
  return { ...article, sha256: articleHash(article) }
}

/** What every engine owes the knowledge base. */
export function articleContract(open: OpenSubject): void {
  let subject: Awaited<ReturnType<OpenSubject>>
  const start = async () => {
    subject = await open()
    return subject.store.articleStore
  }
  afterEach(() => subject.dispose())

  const idsOf = (articles: { id: number }[]) => articles.map(({ id }) => id)

  test('an article is there as it was given, with its pieces, also after the store was opened again', async () => {
    const store = await start()
    const title = '💥 "quoted" \\ back \u2028 line \u0001'
    const made = await store.saveArticle(articleOf({ title }), { at: AT })
    expect(made).toEqual({ id: expect.any(Number), outcome: 'created' })
    const id = made?.id ?? 0
    const { body, chunks: pieces, sha256, ...said } = articleOf({ title })
    const { articleStore: again } = await subject.reopen()
    expect(await again.article(id)).toEqual({
      id,
      ...said,
      body,
      sha256,
      size: body.length,
      opening: 'Install the client.',
      createdAt: AT,
      updatedAt: AT,
    })
    const chunks = await again.chunks(id, null)
    expect(chunks).toEqual(pieces.map((piece) => Object.assign({ id: expect.any(Number), vector: null }, piece)))
    expect(await again.articleFrom('docs/vpn.md')).toBe(id)
    expect(await again.articleFrom('docs/other.md')).toBeNull()
    expect(await again.versions()).toEqual([{ id, sha256 }])
  })

  test('the same source again changes nothing where nothing changed, and replaces it where something did', async () => {
    const store = await start()
    const id = (await store.saveArticle(articleOf(), { at: AT }))?.id ?? 0
    const before = await store.chunks(id, null)
    expect(await store.saveArticle(articleOf(), { at: AT + 1 })).toEqual({ id, outcome: 'unchanged' })
    expect((await store.article(id))?.updatedAt).toBe(AT)
    const next = articleOf({ body: 'Now with a token.', chunks: [{ heading: 'VPN', text: 'Now with a token.' }] })
    expect(await store.saveArticle(next, { at: AT + 2 })).toEqual({ id, outcome: 'updated' })
    expect(await store.article(id)).toMatchObject({ body: next.body, createdAt: AT, updatedAt: AT + 2 })
    const chunks = await store.chunks(id, null)
    expect(chunks.map(({ text }) => text)).toEqual(['Now with a token.'])
    // A number of a piece never means another one: vectors that come late go nowhere.
    expect(before.map((chunk) => chunk.id)).not.toContain(chunks[0]?.id)
    expect(await store.articles({ limit: 10 })).toHaveLength(1)
  })

  test('without a source each is an article of its own, which its number replaces', async () => {
    const store = await start()
    const one = (await store.saveArticle(articleOf({ source: null }), { at: AT }))?.id ?? 0
    const other = (await store.saveArticle(articleOf({ source: null }), { at: AT }))?.id ?? 0
    expect(other).toBeGreaterThan(one)
    const changed = articleOf({ source: null, title: 'Another' })
    expect(await store.saveArticle(changed, { at: AT, id: one })).toEqual({ id: one, outcome: 'updated' })
    expect((await store.article(one))?.title).toBe('Another')
    expect((await store.article(other))?.title).toBe('Set up the VPN')
    expect(await store.saveArticle(changed, { at: AT, id: 999 })).toBeNull()
  })

  test('of two that come at once from one source, one article is made', async () => {
    const store = await start()
    const both = await Promise.all([
      store.saveArticle(articleOf(), { at: AT }),
      store.saveArticle(articleOf(), { at: AT }),
    ])
    expect(both.map((one) => one?.outcome).toSorted()).toEqual(['created', 'unchanged'])
    expect(both[0]?.id).toBe(both[1]?.id)
  })

  test('what is removed is gone with its pieces, and its number is never used again', async () => {
    const store = await start()
    const id = (await store.saveArticle(articleOf(), { at: AT }))?.id ?? 0
    const [first] = await store.chunks(id, null)
    expect(await store.removeArticle(id)).toBe(true)
    expect(await store.removeArticle(id)).toBe(false)
    expect(await store.article(id)).toBeNull()
    expect(await store.foundChunks([first?.id ?? 0])).toEqual([])
    const { articleStore: again } = await subject.reopen()
    const next = (await again.saveArticle(articleOf(), { at: AT }))?.id ?? 0
    expect(next).toBeGreaterThan(id)
  })

  test('pieces are found by number, with the article that they are of', async () => {
    const store = await start()
    const id = (await store.saveArticle(articleOf(), { at: AT }))?.id ?? 0
    const [, second] = await store.chunks(id, null)
    expect(await store.foundChunks([second?.id ?? 0, 12_345])).toEqual([
      {
        id: second?.id,
        articleId: id,
        title: 'Set up the VPN',
        source: 'docs/vpn.md',
        heading: 'Set up the VPN › Certificates',
        text: 'They expire every year.',
      },
    ])
  })

  test('what pieces mean is of one model; of pieces that are gone it is kept nowhere', async () => {
    const store = await start()
    const id = (await store.saveArticle(articleOf(), { at: AT }))?.id ?? 0
    const [first, second] = await store.chunks(id, null)
    const meanings = new Map([
      [first?.id ?? 0, Int8Array.of(1, -128, 127)],
      [12_345, Int8Array.of(1)],
    ])
    await store.saveChunkVectors('a', meanings)
    const vectors = async (model: string | null) => (await store.chunks(id, model)).map(({ vector }) => vector)
    expect(await vectors('a')).toEqual([Int8Array.of(1, -128, 127), null])
    expect(await vectors('b')).toEqual([null, null])
    expect(await vectors(null)).toEqual([null, null])
    await store.saveChunkVectors('b', new Map([[second?.id ?? 0, Int8Array.of(7)]]))
    expect(await vectors('b')).toEqual([null, Int8Array.of(7)])
  })

  describe('a list', () => {
    const three = async () => {
      const store = await start()
      const make = async (source: string, over: Parameters<typeof articleOf>[0]) =>
        (await store.saveArticle(articleOf({ source, ...over }), { at: AT }))?.id ?? 0
      const ids = [
        await make('a', {}),
        await make('b', {
          title: 'Große Rechnungen',
          labels: ['Billing'],
          chunks: [{ heading: '', text: 'Pay late' }],
        }),
        await make('c', { title: 'Printers', labels: [], chunks: [{ heading: 'Toner', text: 'Change it' }] }),
      ] as const
      return { store, ids }
    }

    test('is newest first, a page at a time', async () => {
      const { store, ids } = await three()
      expect(idsOf(await store.articles({ limit: 2 }))).toEqual([ids[2], ids[1]])
      expect(idsOf(await store.articles({ limit: 2, before: ids[1] }))).toEqual([ids[0]])
    })

    test('is searched by words of title, labels, headings and text, which all have to occur', async () => {
      const { store, ids } = await three()
      const found = async (q: string) => idsOf(await store.articles({ q, limit: 10 }))
      expect(await found('expire VPN')).toEqual([ids[0]])
      expect(await found('expire printers')).toEqual([])
      expect(await found('grosse')).toEqual([])
      expect(await found('GROßE billing')).toEqual([ids[1]])
      expect(await found('toner')).toEqual([ids[2]])
      expect(await found('ton')).toEqual([])
      expect(await found('ton*')).toEqual([ids[2]])
      expect(await found(`' " \\ | & ! 😀`)).toEqual([])
      expect(await found(`to\0ner' or 1=1`)).toEqual([])
    })
  })

  test('tells of each change, and of nothing where nothing changed', async () => {
    const store = await start()
    let told = 0
    const stop = store.onArticlesChanged(() => (told += 1))
    const id = (await store.saveArticle(articleOf(), { at: AT }))?.id ?? 0
    expect(told).toBe(1)
    await store.saveArticle(articleOf(), { at: AT })
    expect(told).toBe(1)
    await store.removeArticle(id)
    expect(told).toBe(2)
    stop()
    await store.saveArticle(articleOf(), { at: AT })
    expect(told).toBe(2)
  })
}
