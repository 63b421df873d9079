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

const { enableCompileCache } = await import('node:module')
enableCompileCache?.()

// A clone runs its TypeScript as it is, a published package what was compiled from it.
const source = new URL('../src/cli.ts', import.meta.url)
await import(existsSync(source) ? source.href : new URL('../dist/cli.js', import.meta.url).href)
