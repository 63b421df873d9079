import { z } from 'zod'

import { createApi, type ServerOptions } from './api.ts'
import { exitWith } from './fault.ts'
import { clearLine, drawLine } from './progress.ts'
import { count, print, printTable, type Row } from './table.ts'

type Options = ServerOptions & { outcome: string; source?: string; unproved?: boolean; json?: boolean }

const Played = z.object({
  id: z.number(),
  replay_of: z.number().nullable(),
  outcome: z.string(),
  reason: z.string().nullable(),
  ticket_id: z.number().nullable(),
})
type Played = z.infer<typeof Played>

const Page = z.object({
  replayed: z.array(Played),
  skipped: z.array(z.object({ id: z.number(), reason: z.string() })),
  next: z.number().nullable(),
})

/** How many rows are shown to people; `--json` has all. */
const SHOWN = 20

/** Plays one delivery or all of a kind again, on the running server. Exit code 1 when any was refused once more. */
export async function replay(id: number | undefined, options: Options): Promise<void> {
  try {
    const api = createApi(options)
    const { outcome, source, unproved = false, json } = options
    const found: z.infer<typeof Page> = { replayed: [], skipped: [], next: null }
    if (id !== undefined)
      found.replayed.push(Played.parse(await api.post(`/api/deliveries/${id}/replay`, { unproved })))
    for (let after: number | null = id === undefined ? 0 : null; after !== null; after = found.next) {
      const page = Page.parse(
        await api.post('/api/deliveries/replay', { outcome, source, unproved, after, limit: 100 }),
      )
      found.replayed.push(...page.replayed)
      found.skipped.push(...page.skipped)
      found.next = page.next
      drawLine(`${count(found.replayed.length, 'delivery', 'deliveries')} played again`)
    }
    clearLine()
    const refused = found.replayed.filter((played) => played.outcome === 'rejected').length
    if (json) print(JSON.stringify({ replayed: found.replayed, skipped: found.skipped }, null, 2))
    else show(found, refused)
    process.exitCode = refused === 0 ? 0 : 1
  } catch (error) {
    clearLine()
    exitWith(error)
  }
}

function show({ replayed, skipped }: z.infer<typeof Page>, refused: number): void {
  const rows = [
    ...replayed.map(({ id, replay_of: origin, outcome, ticket_id: ticket, reason }): Row => {
      const cells = [String(origin), String(id), outcome, ticket === null ? '' : String(ticket), reason ?? '']
      return { state: outcome === 'rejected' ? 'warn' : 'ok', cells }
    }),
    ...skipped.map(({ id, reason }): Row => ({ state: 'warn', cells: [String(id), '', 'left out', '', reason] })),
  ]
  if (rows.length === 0) return print('There is nothing to play again.')
  printTable(['delivery', 'made', 'outcome', 'ticket', 'reason'], rows.slice(0, SHOWN))
  if (rows.length > SHOWN) print(`… and ${rows.length - SHOWN} more; --json prints all`)
  print(
    `${count(replayed.length, 'delivery', 'deliveries')} played again, ${refused} refused once more, ${skipped.length} left out`,
  )
}
