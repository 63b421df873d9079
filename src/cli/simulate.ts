import { z } from 'zod'

import { AppError } from '../core/errors.ts'
import { createApi, type ServerOptions } from './api.ts'
import { exitWith } from './fault.ts'
import { clearLine, drawLine, percent } from './progress.ts'
import { jsonFile } from './sources.ts'
import { count, paint, print } from './table.ts'

type Options = ServerOptions & { map: string; last: number; apply?: boolean; json?: boolean }

const Found = z.looseObject({
  deliveries: z.number(),
  tickets: z.number(),
  different: z.number(),
  by_field: z.record(z.string(), z.number()),
  differences: z.array(
    z.object({
      ticket_id: z.number(),
      changes: z.record(z.string(), z.object({ from: z.unknown(), to: z.unknown() })),
      kept: z.array(z.string()),
    }),
  ),
  mended_count: z.number(),
  mended: z.array(z.object({ delivery_id: z.number(), title: z.string().nullable(), reason: z.string().nullable() })),
  broken_count: z.number(),
  broken: z.array(z.object({ delivery_id: z.number(), ticket_id: z.number(), reason: z.string() })),
  skipped: z.number(),
  changed: z.number().optional(),
})
type Found = z.infer<typeof Found>

const SHOWN = 20

/** Shows, or with `apply` makes, what a changed field map makes of the deliveries that a source has sent. */
export async function simulate(source: string, options: Options): Promise<void> {
  try {
    const { map, last, apply = false, json } = options
    const api = createApi(options)
    const body = { field_map: jsonFile(map), last, show: json ? 1000 : SHOWN }
    const path = `/api/sources/${encodeURIComponent(source)}/${apply ? 'apply' : 'simulate'}`
    const onProgress = (done: number, total: number) =>
      drawLine(`${percent(done, total)} % of ${count(total, 'delivery', 'deliveries')} of ${source}`)
    const found = Found.parse(await api.follow(path, body, onProgress))
    clearLine()
    if (json) return print(JSON.stringify(found, null, 2))
    show(found)
    if (found.mended_count > 0 && apply) print(`Play them again: ticketflow replay --source ${source}`)
    if (!apply) print(`Nothing was changed; --apply sets this map and changes the tickets.`)
  } catch (error) {
    clearLine()
    exitWith(error instanceof z.ZodError ? new AppError('malformed', 'The server answers in another form') : error)
  }
}

function show(found: Found): void {
  const { deliveries, tickets, different, changed, skipped } = found
  const seen = `${count(deliveries, 'delivery', 'deliveries')} of ${count(tickets, 'ticket')}`
  print(`${seen}: ${different} ${changed === undefined ? 'would be different' : `differ, ${changed} changed`}`)
  const fields = Object.entries(found.by_field).toSorted(([, a], [, b]) => b - a)
  if (fields.length > 0) print(`  by field: ${fields.map(([field, times]) => `${field} ${times}`).join(', ')}`)
  for (const { ticket_id: id, changes, kept } of found.differences.slice(0, SHOWN)) {
    print(`\n${paint('bold', `ticket ${id}`)}`)
    for (const [field, { from, to }] of Object.entries(changes)) {
      print(`  ${field}: ${paint('red', text(from))} → ${paint('green', text(to))}`)
    }
    for (const field of kept) print(`  ${field}: a person set it, it stays`)
  }
  if (different > SHOWN) print(`\n… and ${different - SHOWN} more; --json prints up to 1,000`)
  print('')
  list('refused then, and would be taken', found.mended_count, found.mended)
  list('taken then, and would be refused', found.broken_count, found.broken)
  if (skipped > 0) print(`${count(skipped, 'delivery', 'deliveries')} left out: batches, or nothing kept to work on`)
}

function list(what: string, total: number, some: { delivery_id: number; reason: string | null }[]): void {
  if (total === 0) return
  print(`${paint('yellow', String(total))} ${what}:`)
  for (const { delivery_id: id, reason } of some.slice(0, SHOWN)) print(`  delivery ${id}: ${reason ?? ''}`)
}

const text = (value: unknown) => {
  const said = typeof value === 'string' ? value : JSON.stringify(value)
  return said.length > 80 ? `${said.slice(0, 79)}…` : said
}
