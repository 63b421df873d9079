#!/usr/bin/env node
// Builds the console into console/dist where that is missing or older than its sources. Plain JavaScript for any Node,
// as it runs before `npm start` can say that a newer one is needed.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const CONSOLE = join(ROOT, 'console')
const STAMP = 'built-from.txt'

const filesUnder = (directory) =>
  readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .toSorted()

/** A hash of all that the build is made from: a clone's file times say nothing. */
function sourceHash() {
  const sources = [
    ...['index.html', 'vite.config.ts', 'tsconfig.json'].map((name) => join(CONSOLE, name)),
    ...filesUnder(join(CONSOLE, 'src')),
    ...filesUnder(join(CONSOLE, 'public')),
    join(ROOT, 'package-lock.json'),
    fileURLToPath(import.meta.url),
  ]
  const hash = createHash('sha256')
  for (const file of sources) hash.update(`${file.slice(ROOT.length)}\0`).update(readFileSync(file))
  return hash.digest('hex')
}

function stampOf(dist) {
  const file = join(dist, STAMP)
  return existsSync(file) ? readFileSync(file, 'utf8') : null
}

/** Compressed once here, so that the server never does it. */
function compress(directory) {
  for (const file of filesUnder(directory)) {
    if (!/\.(js|css|html|svg)$/.test(file)) continue
    const bytes = readFileSync(file)
    writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }))
    const quality = { [constants.BROTLI_PARAM_QUALITY]: 11 }
    writeFileSync(`${file}.br`, brotliCompressSync(bytes, { params: quality }))
  }
}

/** Returns whether it had to be built. Two at once do no harm: each builds aside, and the last to finish is kept. */
export async function buildConsole() {
  if (!existsSync(join(CONSOLE, 'src'))) return false // a published package brings it built
  const dist = join(CONSOLE, 'dist')
  const stamp = sourceHash()
  if (stampOf(dist) === stamp) return false
  // Whatever the caller runs as (tests set NODE_ENV), what is served is never React's development build.
  // oxlint-disable-next-line node/no-process-env
  process.env.NODE_ENV = 'production'
  const { build } = await import('vite')
  const aside = join(CONSOLE, `dist-${process.pid}`)
  try {
    await build({
      configFile: join(CONSOLE, 'vite.config.ts'),
      logLevel: 'error',
      build: { outDir: aside, emptyOutDir: true },
    })
    compress(aside)
    writeFileSync(join(aside, STAMP), stamp)
    replace(dist, aside)
  } finally {
    rmSync(aside, { recursive: true, force: true })
  }
  return true
}

function replace(dist, aside) {
  const old = `${aside}-old`
  mkdirSync(dirname(dist), { recursive: true })
  try {
    if (existsSync(dist)) renameSync(dist, old)
    renameSync(aside, dist)
  } catch (error) {
    // Another process put its own there meanwhile, of the same sources.
    if (!existsSync(join(dist, STAMP))) throw error
  } finally {
    rmSync(old, { recursive: true, force: true })
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    if (await buildConsole()) process.stderr.write('ticketflow: the console was built\n')
  } catch (error) {
    // The server does its work without it, and says at / that it is missing.
    const isStart = process.argv.includes('--or-without')
    process.stderr.write(`ticketflow: ${basename(CONSOLE)} could not be built: ${error.message}\n`)
    if (!isStart) process.exitCode = 1
  }
}
