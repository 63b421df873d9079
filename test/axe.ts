import axe, { type NodeResult, type Result } from 'axe-core'
import type { Page } from 'playwright-core'

type Found = Pick<Result, 'id'> & { nodes: Pick<NodeResult, 'html' | 'failureSummary'>[] }

/** What the page does to people who cannot see, hear or point as its makers do; WCAG 2.2, A and AA, and good practice. */
export async function violationsOf(page: Page): Promise<string[]> {
  // Evaluated by the browser itself, so that the page's policy needs no hole for it.
  await page.evaluate(axe.source)
  // As text: what runs in the page is no part of this program.
  const found = await page.evaluate<Found[]>(`axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    resultTypes: ['violations'],
    // Style sheets and addresses of elements take most of the time, and no rule of these needs them.
    preload: false,
    selectors: false,
  }).then(({ violations }) => violations)`)
  return found.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary ?? ''}`),
  )
}
