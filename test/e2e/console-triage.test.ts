import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { violationsOf } from '../axe.ts'
import { openChromium, openPage } from '../chromium.ts'
import { send } from '../console.ts'
import { discard, get, post, startTestServer, type TestServer } from '../server.ts'

const PATIENCE = 300_000

let server: TestServer
let browser: Browser
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

const ticketNow = async (id: number) => (await get(`${server.url}/api/tickets/${id}`)).json

test(
  'a suggestion is on the ticket with how sure it is, and one click takes it',
  async () => {
    const text = {
      title: 'Invoice charged twice',
      description: 'Please refund one payment <img src=x onerror=alert(1)>',
    }
    const first = await send(server, text)
    await expect
      .poll(async () => (await ticketNow(first)).triage?.category?.value, { timeout: 120_000 })
      .toBe('billing')
    const second = await send(server, text)
    await expect.poll(async () => (await ticketNow(second)).triage?.duplicates_of?.id, { timeout: 120_000 }).toBe(first)

    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, complaints } = await openPage(browser, { colorScheme })
      await page.goto(`${server.url}/tickets/${second}`)
      const card = page.getByRole('region', { name: 'Triage' })
      await card.getByText('billing').first().waitFor()
      await card.getByText('Probably the same as').waitFor()
      expect(await violationsOf(page)).toEqual([])
      const { decided_at: before } = (await ticketNow(second)).triage
      await card.getByRole('button', { name: 'Ask again' }).click()
      await page.getByText('Asked: what triage says now').waitFor()
      await expect.poll(async () => (await ticketNow(second)).triage.decided_at, { timeout: 60_000 }).not.toBe(before)
      if (colorScheme === 'light') {
        await card.getByRole('button', { name: 'Use billing' }).click()
        await card.getByText('In use').waitFor()
        await expect.poll(async () => (await ticketNow(second)).category, { timeout: 60_000 }).toBe('billing')
      }
      expect(complaints).toEqual([])
      await page.context().close()
    }
  },
  PATIENCE,
)

test(
  'what it may do is set in the settings; how right it was is among the insights',
  async () => {
    const id = await send(server, { title: 'Refund please', description: 'The payment was charged twice' })
    await expect.poll(async () => (await ticketNow(id)).triage?.category?.value, { timeout: 120_000 }).toBe('billing')
    await post(`${server.url}/api/tickets/${id}/triage/feedback`, { field: 'category', value: 'billing' })
    const { page, complaints } = await openPage(browser)
    await page.goto(`${server.url}/settings`)
    const settings = page.getByRole('region', { name: 'Triage' })
    await settings.getByLabel('Category', { exact: true }).selectOption('set')
    await settings.getByText(/^Categories: technical/).click()
    await settings.getByRole('button', { name: 'Add a category' }).click()
    await settings.getByLabel('Name of category 10').fill('printers')
    await settings.getByLabel('Words of printers, with commas between').fill('toner, paper jam')
    expect(await violationsOf(page)).toEqual([])
    await settings.getByRole('button', { name: 'Save' }).click()
    const isSet = async () => (await get(`${server.url}/api/triage`)).json.settings.category
    await expect.poll(isSet, { timeout: 60_000 }).toBe('set')
    const { categories } = (await get(`${server.url}/api/triage`)).json
    expect(categories.at(-1)).toEqual({ name: 'printers', description: '', keywords: ['toner', 'paper jam'] })
    expect(await violationsOf(page)).toEqual([])
    await page.goto(`${server.url}/insights`)
    const accuracy = page.getByRole('region', { name: 'Triage' })
    await accuracy.getByRole('cell', { name: 'category' }).first().waitFor()
    await accuracy.getByRole('cell', { name: '100 %' }).first().waitFor()
    expect(await violationsOf(page)).toEqual([])
    expect(complaints).toEqual([])
    await page.context().close()
  },
  PATIENCE,
)
