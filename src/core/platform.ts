import type { z } from 'zod'

import { failFields } from './errors.ts'
import type { TicketDraft } from './ticket.ts'

/** One parsed request body with the headers it came with (names in lower case). */
export type Incoming = {
  headers: Readonly<Record<string, string | string[] | undefined>>
  payload: Record<string, unknown>
}

/** A sender, as the pipeline sees it. Data and pure functions only: a platform reads no clock and no disk. */
export type Platform = {
  id: string
  label: string
  /** Whether this body is in the sender's own format. Cheap, and never a reason to trust it. */
  recognises: (incoming: Incoming) => boolean
  /** Throws AppError `malformed` naming each field at fault. */
  toDraft: (incoming: Incoming) => TicketDraft
}

/** Ties a payload schema to the function that reads what the schema let through. */
export function definePlatform<Payload>(definition: {
  id: string
  label: string
  recognises: Platform['recognises']
  payload: z.ZodType<Payload>
  toTicket: (payload: Payload, incoming: Incoming) => TicketDraft
}): Platform {
  const { payload: schema, toTicket, ...rest } = definition
  return {
    ...rest,
    toDraft: (incoming) => {
      const parsed = schema.safeParse(incoming.payload)
      if (parsed.success) return toTicket(parsed.data, incoming)
      return failFields(
        parsed.error.issues.map((issue) => ({ field: issue.path.join('.') || 'body', message: issue.message })),
      )
    },
  }
}
