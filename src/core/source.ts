import { z } from 'zod'

import { MAPPABLE } from './field-map.ts'
import { instant } from './key.ts'
import { isNetwork } from './network.ts'
import { PRIORITIES } from './priority.ts'
import { RedactionRules } from './redaction.ts'

/**
 * How a source shows that it is the one: `signature` by one of its secrets, `key` by an API key with the scope intake,
 * `network` by its address alone, for a sender that can do neither.
 */
const AUTHS = ['signature', 'key', 'network'] as const

/** Words that stand for something else in a URL, in the audit log or in both. */
const RESERVED = new Set(['batch', 'health', 'open', 'unknown', 'environment', 'api'])

export const SourceId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,49}$/, 'must have 1 to 50 lower-case letters, digits and hyphens, such as zendesk-eu')
  .refine((id) => !RESERVED.has(id), 'is a word with another meaning here; choose another')

const expression = z.string().trim().min(1).max(4000)

export const FieldMapSettings = z.strictObject(
  Object.fromEntries(MAPPABLE.map((field) => [field, expression.optional()])) as FieldMapShape,
)

/** What a source is set to, as it is sent, shown and stored. */
export const SourceSettings = z.strictObject({
  name: z.string().trim().min(1).max(100).describe('What people call it'),
  platform: z.string().max(50).nullable().describe('Whose format it sends; null is recognised by each body'),
  auth: z.enum(AUTHS).describe('What it has to show: a signature or token by its secret, an API key, or its address'),
  scheme: z.string().max(50).nullable().describe('Which of the platform’s ways to sign; null is the usual one'),
  networks: z
    .array(z.string().max(50).refine(isNetwork, 'is no address or network; 192.0.2.7 and 2001:db8::/32 are'))
    .max(200)
    .describe('Addresses and networks it may send from; empty is anywhere'),
  rate: z.int().min(1).max(10_000_000).nullable().describe('Requests a minute; null is no limit of its own'),
  account: z
    .string()
    .trim()
    .max(100)
    .nullable()
    .describe('Whose ticket numbers these are, where the body does not say; null is the source’s own id'),
  defaults: z
    .strictObject({
      category: z.string().trim().toLowerCase().min(1).max(200).optional(),
      priority: z.enum(PRIORITIES).optional(),
    })
    .describe('What a new ticket gets where the sender says nothing'),
  field_map: FieldMapSettings.describe(
    'A JSONata expression a field, over what the platform’s mapping makes of the body',
  ),
  redaction: RedactionRules.describe('What is taken out before anything is stored'),
})

type FieldMapShape = Record<(typeof MAPPABLE)[number], z.ZodOptional<z.ZodString>>

export type SourceSettings = z.output<typeof SourceSettings>

/** Some of the settings. Each is set as it is given; one that is not given stays. */
export type SettingsChange = { [name in keyof SourceSettings]?: SourceSettings[name] | undefined }

/** A signing secret as it is kept: sealed, so that nobody who reads the store can sign. */
export type SealedSecret = {
  /** Names it in lists; says nothing of the secret. */
  id: string
  sealed: string
  /** ms since the epoch */
  createdAt: number
  /** When it stops to count, where another took its place; null while it is the current one. */
  expiresAt: number | null
}

/** One registered sender. */
export type Source = {
  id: string
  settings: SourceSettings
  secrets: SealedSecret[]
  createdAt: number
  updatedAt: number
  /** Takes nothing while this is set. */
  disabledAt: number | null
  /** Only its name is left, so that a server that once had a source never becomes open again. */
  deletedAt: number | null
}

/** A source as it is shown: everything but what could sign in its name. */
export const shownSource = ({ id, settings, secrets, createdAt, updatedAt, disabledAt }: Source) => ({
  id,
  ...settings,
  secrets: secrets.map((secret) => ({
    id: secret.id,
    created_at: new Date(secret.createdAt).toISOString(),
    expires_at: instant(secret.expiresAt),
  })),
  url: `/api/integrations/webhook/${id}`,
  created_at: new Date(createdAt).toISOString(),
  updated_at: new Date(updatedAt).toISOString(),
  disabled_at: instant(disabledAt),
})
