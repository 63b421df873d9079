#!/usr/bin/env node
// Plain JavaScript for any Node, so that an old one gets a sentence instead of a syntax error.
import { existsSync } from 'node:fs'

const [major] = process.versions.node.split('.').map(Number)
if (major < 24) {
  process.stderr.write(
    `ticketflow: Node.js 24 or newer is needed, and this is ${process.version}; in a clone, \`npm ci\` installs it and \`npm start\` uses it\n`,
  )
  process.exit(1)
}

// V8 takes the short-lived objects of a parse for long-lived ones, and would keep tens of megabytes of them around.
const { setFlagsFromString } = await import('node:v8')
setFlagsFromString('--no-allocation-site-pretenuring')
// Of each thread that is started from here on: their short-lived objects are few. This one has what the command line says.
setFlagsFromString('--max-semi-space-size=4')

const { enableCompileCache } = await import('node:module')
const { join } = await import('node:path')
const { tmpdir } = await import('node:os')
// Threads hear of it only this way, and each would else load what compiles TypeScript: 10 MB.
// oxlint-disable-next-line node/no-process-env
process.env.NODE_COMPILE_CACHE ??= join(tmpdir(), 'node-compile-cache')
enableCompileCache?.()

// A clone runs its TypeScript as it is, a published package what was compiled from it.
const source = new URL('../src/cli.ts', import.meta.url)
await import(existsSync(source) ? source.href : new URL('../dist/cli.js', import.meta.url).href)
