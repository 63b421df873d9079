import { z } from 'zod'

import { fail } from '../core/errors.ts'
import { createApi, type ServerOptions } from './api.ts'
import { exitWith } from './fault.ts'
import { count, print, printTable, type Row } from './table.ts'

type Options = ServerOptions & { json?: boolean }

const Page = z.object({
  jobs: z.array(
    z
      .object({
        id: z.number(),
        kind: z.string(),
        state: z.string(),
        ticket_id: z.number().nullable(),
        attempts: z.number(),
        max_attempts: z.number(),
        run_at: z.string(),
        last_error: z.string().nullable(),
      })
      .loose(),
  ),
  next: z.string().nullable(),
})
type Job = z.infer<typeof Page>['jobs'][number]

const Retried = z.object({ retried: z.number() })

/** The most that the server shows at a time. */
const PAGE = 200

export const list = (options: Options & { state?: string; kind?: string; limit: number }) =>
  tell(async () => {
    const { state, kind, limit, json } = options
    const api = createApi(options)
    const found: Job[] = []
    for (let cursor: string | null = ''; cursor !== null && found.length < limit;) {
      const given = { state, kind, cursor: cursor || undefined, limit: String(Math.min(PAGE, limit - found.length)) }
      const query = new URLSearchParams()
      for (const [name, value] of Object.entries(given)) if (value !== undefined) query.set(name, value)
      const page = Page.parse(await api.json(`/api/jobs?${query}`))
      found.push(...page.jobs)
      cursor = page.next
    }
    if (json) return print(JSON.stringify({ jobs: found }, null, 2))
    if (found.length === 0) return print('There is no such job.')
    printTable(['job', 'kind', 'state', 'ticket', 'attempts', 'due', 'last error'], found.map(rowOf))
    print(count(found.length, 'job'))
  })

export const retry = (id: number | undefined, options: Options & { kind?: string }) =>
  tell(async () => {
    const { kind, json } = options
    if ((id === undefined) === (kind === undefined)) fail('malformed', 'Name one job, or a kind with --kind')
    const path = id === undefined ? `retry?${new URLSearchParams({ kind: kind ?? '' })}` : `${id}/retry`
    const { retried } = Retried.parse(await createApi(options).post(`/api/jobs/${path}`, undefined))
    print(json ? JSON.stringify({ retried }, null, 2) : `${count(retried, 'job')} will run again.`)
  })

export const discard = (id: number, options: Options) =>
  tell(async () => {
    await createApi(options).remove(`/api/jobs/${id}`)
    print(options.json ? JSON.stringify({ ok: true, id }, null, 2) : `Job ${id} is discarded.`)
  })

async function tell(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    exitWith(error)
  }
}

function rowOf({
  id,
  kind,
  state,
  ticket_id: ticket,
  attempts,
  max_attempts: most,
  run_at: due,
  last_error: fault,
}: Job): Row {
  const cells = [
    String(id),
    kind,
    state,
    ticket === null ? '' : String(ticket),
    `${attempts} of ${most}`,
    due,
    fault ?? '',
  ]
  return { state: state === 'dead' ? 'fail' : state === 'failed' ? 'warn' : 'ok', cells }
}
