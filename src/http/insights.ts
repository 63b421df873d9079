import { z } from 'zod'

import type { Tally } from '../core/activity.ts'
import { type Insights as Found, insightsOf, spanMs } from '../core/insights.ts'
import { OUTCOMES, type Store } from '../store/store.ts'
import type { App } from './fastify.ts'
import { Errors } from './schemas.ts'

/** How long an answer may count; where that is too short, it says so, and the next one knows more. */
const PATIENCE_MS = 1000
/** More points no chart shows. */
const POINTS = 1000

const Query = z
  .object({
    days: z.coerce.number<string>().int().min(1).max(90).default(7),
    step: z.enum(['hour', 'day']).default('hour'),
  })
  .refine(({ days, step }) => step === 'day' || days * 24 <= POINTS, 'step must be day for more than 41 days')

const timestamp = z.iso.datetime()
const ms = z.number().nullable()
const totals = z.object({ deliveries: z.int(), refused: z.int(), tickets: z.int(), p50_ms: ms, p95_ms: ms })
const compared = { name: z.string(), now: z.number(), before: z.number() }

const Insights = z
  .object({
    from: timestamp,
    to: timestamp,
    complete: z.boolean().describe('False while older deliveries are still being counted: ask again'),
    totals,
    before: totals.describe('Of as long a time before'),
    series: z.array(
      z.object({
        at: timestamp,
        outcomes: z.object(Object.fromEntries(OUTCOMES.map((outcome) => [outcome, z.int()]))),
        tickets: z.int(),
        p50_ms: ms,
        p95_ms: ms,
      }),
    ),
    platforms: z.array(z.object(compared)),
    categories: z.array(z.object(compared)).describe('Of new tickets, as they are now'),
    sources: z.array(z.object({ ...compared, refused: z.int() })),
    week: z.object({
      comparable: z.boolean().describe('Whether there is a week before this one'),
      changes: z.array(
        z.object({ what: z.enum(['volume', 'outcome', 'platform', 'category', 'source', 'latency']), ...compared }),
      ),
    }),
  })
  .meta({ id: 'Insights' })

export const insightRoutes = (store: Pick<Store, 'activity'>) => async (app: App) => {
  app.get(
    '/insights',
    {
      schema: {
        tags: ['operations'],
        summary: 'How much came, of what and how fast, and what changed this week',
        querystring: Query,
        response: { 200: Insights, ...Errors },
      },
    },
    async ({ query: { days, step } }) => {
      const now = Date.now()
      const { hours, isWhole } = await store.activity(now - spanMs(days), PATIENCE_MS)
      return { ...shown(insightsOf(hours, { now, days, step })), complete: isWhole }
    },
  )
}

function shown(found: Found) {
  return {
    from: new Date(found.from).toISOString(),
    to: new Date(found.to).toISOString(),
    totals: shownTotals(found.totals),
    before: shownTotals(found.before),
    series: found.series.map(({ at, outcomes, tickets, ...latency }) => ({
      at: new Date(at).toISOString(),
      outcomes: countsOf(outcomes),
      tickets,
      ...shownLatency(latency),
    })),
    platforms: found.platforms,
    categories: found.categories,
    sources: found.sources,
    week: { comparable: found.hasWeekBefore, changes: found.changes },
  }
}

const countsOf = (outcomes: Tally) =>
  Object.fromEntries(OUTCOMES.map((outcome) => [outcome, outcomes.get(outcome) ?? 0]))

const shownLatency = ({ p50, p95 }: { p50: number | null; p95: number | null }) => ({ p50_ms: p50, p95_ms: p95 })

const shownTotals = ({ deliveries, refused, tickets, ...latency }: Found['totals']) => ({
  deliveries,
  refused,
  tickets,
  ...shownLatency(latency),
})
