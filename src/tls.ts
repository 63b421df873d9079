import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContextOptions } from 'node:tls'

import { type Config, ConfigError } from './config.ts'

export type TlsFiles = NonNullable<Config['tls']>

export type Tls = {
  /** For a server, and for its `setSecureContext`. */
  options: SecureContextOptions & { requestCert: boolean; rejectUnauthorized: boolean; handshakeTimeout: number }
  certificate: X509Certificate
  /** What was read, to see whether it has changed. */
  text: string
}

/** TLS 1.2 with forward secrecy and authenticated encryption only: Mozilla's "intermediate" list. Those of 1.3 are all good. */
const CIPHERS = [
  'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

const HANDSHAKE_MS = 10_000
const DAY_MS = 86_400_000

/** How often the files are read again: certbot replaces a link, which a watch on the file does not see. */
const RELOAD_MS = 2_000

/** The certificate, its key, and who signs the clients' where they need one. Throws ConfigError with what is wrong. */
export function readTls({ cert, key, clientCa }: TlsFiles): Tls {
  const [certText, keyText] = [read('TICKETFLOW_TLS_CERT', cert), read('TICKETFLOW_TLS_KEY', key)]
  const caText = clientCa === null ? null : read('TICKETFLOW_TLS_CLIENT_CA', clientCa)
  const certificate = certificateIn('TICKETFLOW_TLS_CERT', cert, certText)
  if (caText !== null) certificateIn('TICKETFLOW_TLS_CLIENT_CA', clientCa ?? '', caText)
  const isPair = certificate.checkPrivateKey(privateKeyIn(key, keyText))
  if (!isPair) throw new ConfigError([`The key in ${key} is not that of the certificate in ${cert}`])
  const options = {
    cert: certText,
    key: keyText,
    ...(caText !== null && { ca: caText }),
    minVersion: 'TLSv1.2' as const,
    ciphers: CIPHERS,
    honorCipherOrder: true,
    requestCert: caText !== null,
    rejectUnauthorized: true,
    handshakeTimeout: HANDSHAKE_MS,
  }
  try {
    createSecureContext(options)
  } catch (error) {
    // A chain with a broken link in it, or a key too weak for OpenSSL.
    throw new ConfigError([`The certificate in ${cert} cannot be used: ${messageOf(error)}`])
  }
  return { options, certificate, text: [certText, keyText, caText].join('\n') }
}

/** Why browsers and senders may refuse the certificate, now or soon; null when all is well. */
export function certificateWarning({ validFromDate, validToDate }: X509Certificate, now: number): string | null {
  if (validToDate.getTime() < now) return `The certificate expired on ${day(validToDate)}: senders will refuse it`
  if (validFromDate.getTime() > now) return `The certificate is not valid before ${day(validFromDate)}`
  const days = Math.floor((validToDate.getTime() - now) / DAY_MS)
  return days < 14 ? `The certificate expires on ${day(validToDate)}, in ${days} days` : null
}

/**
 * Reads the files again and again, and hands on what has changed. What cannot be used is told once and not handed on:
 * the old pair serves until the new one is whole.
 */
export function watchTls(
  files: TlsFiles,
  current: Tls,
  on: { changed: (tls: Tls) => void; fault: (error: unknown) => void },
): () => void {
  let { text } = current
  let fault = ''
  const timer = setInterval(() => {
    try {
      const tls = readTls(files)
      fault = ''
      if (tls.text === text) return
      text = tls.text
      on.changed(tls)
    } catch (error) {
      const message = messageOf(error)
      if (message !== fault) on.fault(error)
      fault = message
    }
  }, RELOAD_MS)
  timer.unref()
  return () => clearInterval(timer)
}

function read(setting: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new ConfigError([`${setting} cannot be read: ${messageOf(error)}`])
  }
}

function certificateIn(setting: string, path: string, text: string): X509Certificate {
  try {
    return new X509Certificate(text)
  } catch {
    throw new ConfigError([`${setting}: ${path} holds no certificate in PEM (-----BEGIN CERTIFICATE-----)`])
  }
}

function privateKeyIn(path: string, text: string) {
  try {
    return createPrivateKey(text)
  } catch (error) {
    const isLocked = /passphrase|ENCRYPTED/i.test(text + messageOf(error))
    const advice = isLocked ? 'is locked with a passphrase; store it without one' : 'holds no private key in PEM'
    throw new ConfigError([`TICKETFLOW_TLS_KEY: ${path} ${advice}`])
  }
}

const day = (date: Date) => date.toISOString().slice(0, 10)

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
