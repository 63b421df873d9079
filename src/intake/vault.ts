import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { chmodSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { AppError } from '../core/errors.ts'
import { createOnce } from '../store/durable-file.ts'

const KEY_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16

export type Vault = {
  /** AES-256-GCM, bound to what it belongs to: what is sealed for one source opens for no other. */
  seal: (text: string, belongsTo: string) => string
  /** Throws AppError `unavailable` when it was sealed with another key, or changed. */
  open: (sealed: string, belongsTo: string) => string
  /** A key of its own for another use. */
  derive: (use: string) => Buffer
}

const secretKeyPath = (directory: string) => join(directory, 'secret.key')

/**
 * Opens the vault of a data directory: by TICKETFLOW_SECRET_KEY where it is set, else by `secret.key`, which is made
 * when it is not there. A backup of the store does not contain it.
 */
export function openVault(directory: string, fromEnvironment: string | null): Vault {
  const master = fromEnvironment === null ? keyFile(directory) : Buffer.from(fromEnvironment, 'utf8')
  const derive = (use: string) => Buffer.from(hkdfSync('sha256', master, 'ticketflow', use, KEY_BYTES))
  const key = derive('secrets of sources')

  function seal(text: string, belongsTo: string): string {
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(belongsTo))
    return Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64url')
  }

  function open(sealed: string, belongsTo: string): string {
    const bytes = Buffer.from(sealed, 'base64url')
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV_BYTES))
      decipher.setAAD(Buffer.from(belongsTo)).setAuthTag(bytes.subarray(bytes.length - TAG_BYTES))
      return decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
    } catch {
      throw new AppError(
        'unavailable',
        `The secrets of ${belongsTo} were sealed with another key: put back secret.key or TICKETFLOW_SECRET_KEY, or rotate them`,
      )
    }
  }

  return { seal, open, derive }
}

/** The key of the file; made at first, for its owner alone, and on disk before anything is sealed with it. */
function keyFile(directory: string): Buffer {
  const path = secretKeyPath(directory)
  if (existsSync(path) || !createOnce(path, `${randomBytes(KEY_BYTES).toString('base64')}\n`)) chmodSync(path, 0o600)
  const key = Buffer.from(readFileSync(path, 'utf8').trim(), 'base64')
  if (key.length === KEY_BYTES) return key
  throw new AppError(
    'unavailable',
    `${path} does not hold a key of ${KEY_BYTES} bytes in base64; put back the right file`,
  )
}
