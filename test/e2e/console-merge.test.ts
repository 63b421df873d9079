import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import { violationsOf } from '../axe.ts'
import { openChromium, openPage, type Watched } from '../chromium.ts'
import { rowOf, send, untilLive } from '../console.ts'
import { discard, get, post, startTestServer, type TestServer } from '../server.ts'

const PATIENCE = 300_000
const POLL = { timeout: 60_000, interval: 100 }

let server: TestServer
let browser: Browser
let watched: Watched | undefined
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
  const complaints = watched?.complaints
  await watched?.page.context().close()
  watched = undefined
  expect(complaints).toEqual([])
}, PATIENCE)

async function visit(path: string, options: Parameters<typeof openPage>[1] = {}): Promise<Page> {
  watched = await openPage(browser, options)
  await watched.page.goto(server.url + path)
  return watched.page
}

const ticketNow = async (id: number) => (await get(`${server.url}/api/tickets/${id}`)).json
const mergedInto = async (id: number) => (await ticketNow(id)).merged_into ?? null
const banner = (page: Page) => page.getByRole('region', { name: 'Merged tickets' })

describe('merging', { timeout: PATIENCE }, () => {
  test('a likely duplicate is merged by the keyboard alone, and that is undone from the message', async () => {
    const text = {
      title: 'Export of orders hangs',
      description: 'Since <b>Monday</b> the export of orders never ends.',
    }
    const first = await send(server, text)
    // The first has to be known before the second is compared with it.
    await expect.poll(async () => Boolean((await ticketNow(first)).triage), POLL).toBe(true)
    const second = await send(server, text)
    await expect.poll(async () => (await ticketNow(second)).triage?.duplicates_of?.id, POLL).toBe(first)

    const page = await visit(`/tickets/${second}`)
    await untilLive(page)
    await page.getByRole('button', { name: `Merge into #${first}` }).focus()
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog', { name: `Merge #${second}` })
    await dialog.getByRole('button', { name: `Merge into #${first}` }).waitFor()
    expect(await violationsOf(page)).toEqual([])
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    expect(await mergedInto(second)).toBeNull()
    await page.keyboard.press('Enter')
    await dialog.waitFor()
    // The number stands there already, and the field has the focus.
    await page.keyboard.press('Enter')
    await banner(page)
      .getByRole('link', { name: `#${first}` })
      .waitFor()
    await expect.poll(() => mergedInto(second), POLL).toBe(first)
    await page.getByText('merged into it').waitFor()
    expect(await page.evaluate<string>(`document.activeElement?.textContent ?? ''`)).toBe(text.title)
    expect(await page.getByRole('article').getByLabel('Status').isDisabled()).toBe(true)
    expect(await page.getByRole('button', { name: 'Reopen' }).count()).toBe(0)
    await page.getByRole('region', { name: 'Timeline' }).getByText('Merged into').waitFor()
    await rowOf(page, text.title).first().getByText('merged').waitFor()
    expect(await violationsOf(page)).toEqual([])

    await page.getByRole('region', { name: 'Messages' }).getByRole('button', { name: 'Undo' }).click()
    await banner(page).waitFor({ state: 'detached' })
    await expect.poll(() => mergedInto(second), POLL).toBeNull()
    await rowOf(page, text.title).first().getByText('new', { exact: true }).waitFor()
  })

  test('any ticket is merged by its number, the other says so as it happens, and a refusal says why', async () => {
    const [one, two] = [
      await send(server, { title: 'Wifi <i>down</i>', id: 'w1' }),
      await send(server, { title: 'No network' }),
    ]
    const page = await visit(`/tickets/${one}`, { colorScheme: 'dark' })
    await untilLive(page)
    await page.getByRole('button', { name: 'Merge', exact: true }).click()
    const field = page.getByRole('dialog').getByLabel('Into the ticket with the number')
    await field.fill(String(one))
    await field.press('Enter')
    await page.getByText(`Ticket ${one} cannot be merged into itself`).waitFor()
    await post(`${server.url}/api/tickets/${one}/merge`, { into: two })
    await banner(page)
      .getByRole('link', { name: `#${two}` })
      .click()
    await page.waitForURL(`**/tickets/${two}`)
    await banner(page).getByText('Stands for').waitFor()
    await send(server, { title: 'Wifi <i>still down</i>', id: 'w1' })
    const timeline = page.getByRole('region', { name: 'Timeline' })
    await timeline.getByText(`On #${one}, which is merged into this: Changed`).waitFor()
    expect(await violationsOf(page)).toEqual([])
    await banner(page)
      .getByRole('link', { name: `#${one}` })
      .click()
    await page.getByRole('button', { name: 'Un-merge' }).click()
    await banner(page).waitFor({ state: 'detached' })
    await expect.poll(() => mergedInto(one), POLL).toBeNull()
  })

  test('selected ones are merged into the oldest of them, what cannot be is marked, and all is undone together', async () => {
    const ids: number[] = []
    for (let count = 0; count < 4; count += 1) ids.push(await send(server, { title: `Mail bounces ${count}` }))
    const [first = 0, second = 0, third = 0, fourth = 0] = ids
    // Another stands for this one already, so that it cannot be merged itself.
    await post(`${server.url}/api/tickets/${fourth}/merge`, { into: third })
    const page = await visit('/tickets?q=bounces')
    for (const id of [first, second, third]) await page.getByLabel(`Select ticket ${id}`).check()
    await page.getByRole('button', { name: 'Merge', exact: true }).click()
    const dialog = page.getByRole('dialog', { name: 'Merge 3 tickets' })
    expect(await violationsOf(page)).toEqual([])
    await dialog.getByRole('button', { name: `Merge into #${first}` }).click()
    await page.getByText(`1 ticket merged into #${first}, 1 not: see the marked rows`).waitFor()
    await rowOf(page, 'Mail bounces 2').getByTitle(`Others are merged into ticket ${third}`).waitFor()
    expect(await Promise.all(ids.map(mergedInto))).toEqual([null, first, null, third])
    await page.getByRole('button', { name: 'Undo' }).click()
    await page.getByText('1 ticket as before').waitFor()
    expect(await Promise.all(ids.map(mergedInto))).toEqual([null, null, null, third])
  })
})
