import { z } from 'zod'
import type { TicketDraft } from './ticket.ts'
export const RedactionRules = z
  .array(
    z.strictObject({
      kind: z.enum(['email', 'phone', 'card', 'iban', 'pattern']),
      scope: z.enum(['raw', 'ticket', 'both']),
      name: z.string().optional(),
      pattern: z.string().optional(),
    }),
  )
  .max(50)
export type RedactionRule = z.output<typeof RedactionRules>[number]
export type Redaction = {
  body: (bytes: Buffer, contentType: string) => Buffer
  rawText: (text: string) => string
  draft: (draft: TicketDraft) => TicketDraft
  hasRaw: boolean
  hasTicket: boolean
}
export function compileRedaction(_rules: RedactionRule[]): Redaction | null {
  return null
}
