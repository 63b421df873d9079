import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'

import { violationsOf } from '../axe.ts'
import { openChromium, openPage, type Watched } from '../chromium.ts'
import { send } from '../console.ts'
import { discard, get, post, startTestServer, type TestServer } from '../server.ts'

const PATIENCE = 300_000

let server: TestServer
let browser: Browser
const watched: Watched[] = []
beforeAll(async () => {
  ;[server, browser] = await Promise.all([
    startTestServer({ TICKETFLOW_TRIAGE: 'on', TICKETFLOW_EMBEDDER: 'none' }),
    openChromium(),
  ])
}, PATIENCE)
afterAll(async () => {
  await browser?.close()
  await discard(server)
}, PATIENCE)
afterEach(async () => {
  const pages = watched.splice(0)
  const complaints = pages.flatMap((one) => one.complaints)
  await Promise.all(pages.map(({ page }) => page.context().close()))
  expect(complaints).toEqual([])
}, PATIENCE)

async function visit(path: string, options: Parameters<typeof openPage>[1] = {}): Promise<Page> {
  const one = await openPage(browser, options)
  watched.push(one)
  await one.page.goto(server.url + path)
  return one.page
}

const EVIL = `# VPN drops <img src=x onerror=alert(1)>

When the vpn connection drops every few minutes, switch to TCP. <script>alert(1)</script> [x](javascript:alert(1))`

test(
  'articles are typed in and uploaded, searched, read as text and removed',
  async () => {
    const page = await visit('/articles')
    await page.getByText('No article yet').waitFor()
    expect(await violationsOf(page)).toEqual([])

    await page.getByRole('button', { name: 'Add…' }).click()
    const dialog = page.getByRole('dialog', { name: 'Add articles' })
    expect(await violationsOf(page)).toEqual([])
    await dialog.getByLabel('Or a text').fill(EVIL)
    await dialog.getByLabel('Labels').fill('network, home office')
    await dialog.getByRole('button', { name: 'Add', exact: true }).click()
    // What was made is opened: its markup is text.
    const article = page.getByRole('region', { name: 'Article 1' })
    await article.getByText('<script>alert(1)</script> [x](javascript:alert(1))').waitFor()
    await article.getByText('home office').waitFor()
    expect(await article.locator('script, img').count()).toBe(0)

    await page.getByRole('button', { name: 'Add…' }).click()
    await dialog.getByLabel('Files').setInputFiles([
      { name: 'printers.md', mimeType: 'text/markdown', buffer: Buffer.from('# Printers\n\nOpen the back cover.') },
      { name: 'empty.txt', mimeType: 'text/plain', buffer: Buffer.from(' ') },
    ])
    await dialog.getByRole('button', { name: 'Add', exact: true }).click()
    await dialog.getByRole('alert').getByText('empty.txt: body: An article needs a text').waitFor()
    await dialog.getByRole('button', { name: 'Close' }).click()

    const list = page.getByRole('region', { name: 'Articles, newest first' })
    await list.getByText('printers.md · markdown').waitFor()
    await page.getByLabel('Search articles').fill('back cov*')
    await expect.poll(() => list.getByRole('listitem').count(), { timeout: 60_000 }).toBe(1)
    await page.getByLabel('Search articles').fill('nowhere')
    await page.getByText('No article holds these words').waitFor()
    await page.getByLabel('Search articles').fill('')
    await list.getByText('printers.md · markdown').click()
    const printers = page.getByRole('region', { name: 'Article 2' })
    await printers.getByText('Open the back cover.').waitFor()
    await printers.getByRole('button', { name: 'Remove…' }).click()
    await page.getByRole('button', { name: 'Remove it' }).click()
    await printers.waitFor({ state: 'detached' })
    await expect.poll(() => list.getByRole('listitem').count(), { timeout: 60_000 }).toBe(1)
    expect((await get(`${server.url}/api/articles`)).json.articles).toMatchObject([{ id: 1 }])
    await page.goto(`${server.url}/articles/99`)
    await page.getByText('There is no article 99').waitFor()
  },
  PATIENCE,
)

test(
  'both themes, wide and narrow, have nothing that axe minds and nothing wider than the page',
  async () => {
    await post(`${server.url}/api/articles`, {
      source: 'https://docs.example.com/printers',
      body: '# Toner\n\nBuy it.',
    })
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const viewport of [
        { width: 1280, height: 800 },
        { width: 360, height: 740 },
      ]) {
        const page = await visit('/articles', { colorScheme, viewport })
        const row = page.getByRole('listitem').filter({ hasText: 'Toner' })
        await row.waitFor()
        expect(await violationsOf(page)).toEqual([])
        const isTooWide = () => page.evaluate('document.documentElement.scrollWidth > innerWidth')
        expect(await isTooWide()).toBe(false)
        // By keys alone.
        await row.getByRole('link').focus()
        await page.keyboard.press('Enter')
        await page.getByRole('link', { name: 'https://docs.example.com/printers', exact: true }).waitFor()
        expect(await violationsOf(page)).toEqual([])
        expect(await isTooWide()).toBe(false)
      }
    }
  },
  PATIENCE,
)

test(
  'an article is on the card of a ticket that it is about, with the draft that is taken from it, and in the palette',
  async () => {
    const id = await send(server, { title: 'VPN drops', description: 'My vpn connection drops every few minutes' })
    const triage = async () => (await get(`${server.url}/api/tickets/${id}`)).json.triage
    await expect.poll(async () => (await triage())?.draft_reply?.sources[0]?.kind, { timeout: 120_000 }).toBe('article')
    const page = await visit(`/tickets/${id}`)
    const card = page.getByRole('region', { name: 'Triage' })
    await card.getByRole('heading', { name: 'Articles' }).waitFor()
    await card.getByText('Draft reply').waitFor()
    expect(await violationsOf(page)).toEqual([])
    await card.getByRole('link', { name: /^article \d+$/ }).click()
    await page.getByRole('region', { name: 'Article 1' }).getByText('switch to TCP').waitFor()

    await page.goto(`${server.url}/tickets`)
    await page.getByRole('list', { name: 'Tickets' }).waitFor()
    await page.keyboard.press('Control+k')
    await page.getByPlaceholder('Do, go to, find, or a ticket number').fill('vpn connection drops')
    await page.getByRole('option', { name: `#${id} VPN drops` }).waitFor()
    expect(await violationsOf(page)).toEqual([])
    await page.getByRole('option', { name: /^Article: VPN drops/ }).click()
    await page.getByRole('region', { name: 'Article 1' }).waitFor()
  },
  PATIENCE,
)

test(
  'a list that cannot be read says why, and asks again',
  async () => {
    const page = await visit('/welcome')
    await page.route('**/api/articles?*', (route) =>
      route.fulfill({ status: 400, contentType: 'application/json', body: '{"detail":"The shelf fell over"}' }),
    )
    await page.getByRole('link', { name: 'Articles' }).click()
    await page.getByRole('alert').getByText('The shelf fell over').waitFor()
    expect(await violationsOf(page)).toEqual([])
    await page.unroute('**/api/articles?*')
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.getByRole('listitem').filter({ hasText: 'Toner' }).waitFor()
    watched.at(-1)?.complaints.splice(0) // the browser's own word on the 400
  },
  PATIENCE,
)
