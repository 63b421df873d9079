import { expect, test } from 'vitest'

import { createMetrics } from '../../src/http/metrics.ts'

test.each([
  ['fails', () => Promise.reject(new Error('the reader is gone'))],
  ['never answers', () => new Promise<never>(() => {})],
])('a store that %s takes nothing from what is counted elsewhere', async (_, figures) => {
  const metrics = createMetrics(
    { queued: () => 7, figures },
    () => true,
    { figures },
    async () => new Map(),
  )
  metrics.delivery('shop', 'created', 0.01)
  const text = await metrics.text()
  expect(text).toContain('ticketflow_deliveries_total{source="shop",outcome="created"} 1')
  expect(text).toContain('ticketflow_queued_deliveries 7')
})
