import type { Page } from 'playwright-core'

import { post, type TestServer } from './server.ts'

/** Waits until the page hears of what happens. */
export const untilLive = (page: Page, state: 'live' | 'offline' = 'live') =>
  page.locator(`[data-live=${state}]:visible`).waitFor()

/** The rows of the queue, top first. */
export const rows = (page: Page) => page.getByRole('list', { name: 'Tickets' }).getByRole('listitem')

/** The row of the queue with this title. */
export const rowOf = (page: Page, title: string) => rows(page).filter({ hasText: title })

/** Sends a ticket in by the webhook; returns its number. */
export async function send(
  server: TestServer,
  ticket: Record<string, unknown>,
  headers: Record<string, string> = {},
): Promise<number> {
  const { status, json } = await post(server.webhook, { description: 'As it says.', ...ticket }, headers)
  if (status !== 200) throw new Error(`the webhook answered ${status}: ${JSON.stringify(json)}`)
  return json.id
}
