import { readFileSync } from 'node:fs'

import { AppError } from '../core/errors.ts'
import { parseBody } from '../intake/body.ts'
import { loadPlatforms } from '../intake/platforms.ts'
import { type Preview, previewOf } from '../intake/preview.ts'
import type { RawRequest } from '../intake/request.ts'
import { exitWith } from './fault.ts'
import { count, paint, print } from './table.ts'

type Options = { platform?: string; header?: string[]; json?: boolean }
type EventPreview = Extract<Preview, { ticket: unknown }>

/** Prints what the webhook would make of the body in a file. Needs no server and stores nothing. */
export async function preview(file: string, { platform, header = [], json = false }: Options): Promise<void> {
  try {
    const request = requestOf(readFileSync(file === '-' ? 0 : file), header, platform)
    const found = await previewOf(await loadPlatforms(), request, parseBody(request, request.body), null)
    if (json) print(JSON.stringify(found, null, 2))
    else show(found)
  } catch (error) {
    if (!(error instanceof AppError)) exitWith(error)
    if (json) print(JSON.stringify({ detail: error.message }, null, 2))
    else print(`${paint('red', 'refused')}  ${error.message}`)
    process.exitCode = 1
  }
}

function requestOf(body: Buffer, lines: string[], platform: string | undefined): RawRequest {
  const headers = lines.map((header) => {
    const colon = header.indexOf(':')
    return [header.slice(0, colon).trim().toLowerCase(), header.slice(colon + 1).trim()] as const
  })
  return {
    id: '',
    sourceId: null,
    url: '',
    receivedAt: 0,
    address: '',
    method: 'POST',
    path: platform === undefined ? '/' : `/?platform=${encodeURIComponent(platform)}`,
    headers: { 'content-type': typeOf(body), ...Object.fromEntries(headers) },
    body,
  }
}

/** What curl would have to be told, as far as the body shows it. */
function typeOf(body: Buffer): string {
  const start = body.toString('latin1', 0, 200).trimStart()
  const boundary = /^--([^\r\n]{1,70})\r?\n/.exec(start)?.[1]
  if (boundary !== undefined) return `multipart/form-data; boundary="${boundary}"`
  return /^[\w.[\]%+-]+=/.test(start) ? 'application/x-www-form-urlencoded' : 'application/json'
}

/** Of the names' column: the longest is `original_description`. */
const WIDTH = 24

function show(found: Preview): void {
  print(`${paint('bold', found.label)} (${found.platform})`)
  if (found.kind === 'batch' && 'events' in found) {
    print(count(found.events.length, 'event'))
    found.events.forEach((event, index) => {
      print(`\n${paint('bold', `#${index + 1}`)}`)
      showEvent(event)
    })
  } else if ('ticket' in found) showEvent(found)
}

function showEvent(event: Omit<EventPreview, 'platform' | 'label'>): void {
  line('kind', event.kind)
  if (event.reason !== null) line('reason', event.reason)
  if (event.delivery_id !== null) line('delivery id', event.delivery_id)
  if (event.answer !== null) line('answer', JSON.stringify(event.answer))
  for (const [name, value] of Object.entries(event.ticket ?? {})) {
    if (name !== 'ticket_metadata') line(name, value)
  }
  for (const [name, value] of Object.entries(event.ticket?.ticket_metadata ?? {}))
    if (name !== 'unmapped') line(`  ${name}`, value)
  if (event.comment !== null) line('comment', JSON.stringify(event.comment))
  if (event.unmapped.length > 0) line('unmapped', event.unmapped.join(', '))
  for (const warning of event.warnings) print(`${paint('yellow', 'warning'.padEnd(WIDTH))}${warning}`)
}

function line(name: string, value: unknown): void {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  print(`${name.padEnd(WIDTH)}${text.replaceAll('\n', `\n${' '.repeat(WIDTH)}`)}`)
}
