import {
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { Worker } from 'node:worker_threads'

import { syncToDisk } from './durable-file.ts'
import {
  indexPath,
  isDamage,
  isLocked,
  lockDirectory,
  makePrivate,
  prepareDirectory,
  RESTORE,
  StoreError,
  storePath,
} from './sqlite-files.ts'
import { type Counts, countStore, inspectStore, type StoreFacts } from './sqlite-inspect.ts'
import { assertWholeLog } from './sqlite-wal.ts'

const PROGRESS_MS = 100
/** What SQLite may leave beside a database. */
const COMPANIONS = ['-wal', '-shm', '-journal']

/** What is done so far, in bytes; the total is an estimate. */
export type Progress = (done: number, total: number) => void

export type Backup = StoreFacts & { bytes: number }
export type Restored = StoreFacts & {
  /** Where the store that was there before is now; null when there was none. */
  aside: string | null
}

/** The name under which a backup is made before it is whole and checked. */
export const partialPath = (file: string) => `${file}.${process.pid}.partial`

/**
 * Copies the store of `directory`, also one that a server is writing to, into `file`, which appears only once it is
 * complete, checked and on disk. It holds at least all that was committed when the call was made. Throws StoreError.
 */
export async function backUpStore(options: {
  directory: string
  file: string
  replace: boolean
  onProgress: Progress
}): Promise<Backup> {
  const { directory, file, replace, onProgress } = options
  const source = storePath(directory)
  if (!existsSync(source)) throw new StoreError(`There is no store in ${directory}; set TICKETFLOW_DATA_DIR to one`)
  assertTarget(directory, file, replace)
  if (!isLocked(directory)) assertWholeLog(source)
  const before = countStore(source)
  const partial = partialPath(file)
  removeStalePartials(file)
  try {
    // Made here, and not by SQLite, so that nobody else can read it at any time.
    writeFileSync(partial, '', { flag: 'wx', mode: 0o600 })
    await vacuumInto(source, partial, onProgress)
    syncToDisk(partial)
    const facts = inspectStore(partial, { isPrivate: true, named: 'The copy' })
    assertWhole(before, facts.counts)
    assertTarget(directory, file, replace)
    renameSync(partial, file)
    syncToDisk(dirname(resolve(file)))
    return { ...facts, bytes: statSync(file).size }
  } finally {
    for (const suffix of ['', ...COMPANIONS]) rmSync(partial + suffix, { force: true })
  }
}

/** Tickets are never deleted, so a copy with fewer of them is no copy. (Deliveries are, at the end of their time.) */
function assertWhole(before: Counts, copy: Counts): void {
  if (copy.tickets >= before.tickets && copy.timeline >= before.timeline) return
  throw new StoreError(`The copy has ${copy.tickets} tickets and the store has ${before.tickets}; it was thrown away`)
}

function assertTarget(directory: string, file: string, replace: boolean): void {
  const folder = dirname(resolve(file))
  if (!existsSync(folder)) throw new StoreError(`There is no folder ${folder} to put the backup into`)
  if (realpathSync(folder) === realpathSync(directory)) {
    throw new StoreError(`${file} is in the data directory; a backup belongs elsewhere, best on another disk`)
  }
  const found = statSync(file, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isFile()) throw new StoreError(`${file} is there and is no file`)
  if (!replace) throw new StoreError(`${file} is there already; name another file or replace it with --force`)
}

async function vacuumInto(from: string, to: string, onProgress: Progress): Promise<void> {
  const total = statSync(from).size + (statSync(`${from}-wal`, { throwIfNoEntry: false })?.size ?? 0)
  const report = () => onProgress(Math.min(statSync(to).size, total), total)
  const timer = setInterval(report, PROGRESS_MS)
  try {
    await new Promise<void>((done, reject) => {
      const thread = new URL(`./sqlite-vacuum${extname(import.meta.url)}`, import.meta.url)
      const worker = new Worker(thread, { workerData: { from, to }, name: 'backup' })
      worker.once('error', (cause) => {
        const reason = `The store could not be copied: ${cause instanceof Error ? cause.message : ''}`
        reject(new StoreError(reason, { cause, ...(isDamage(cause) && { advice: RESTORE }) }))
      })
      worker.once('exit', () => done())
    })
  } finally {
    clearInterval(timer)
  }
}

/**
 * Makes the backup `file` the store of `directory`, in one step: whenever it is interrupted, the directory holds the
 * old store or the new one. With `replace` a store that is there is kept under another name. Throws StoreError, with
 * nothing changed, when a server has the directory or the file is not a sound store of this or an older version.
 */
export function restoreStore(options: { directory: string; file: string; replace: boolean; now: Date }): Restored {
  const { directory, file, replace, now } = options
  assertBackup(file)
  prepareDirectory(directory)
  const unlock = lockDirectory(directory)
  const partial = partialPath(storePath(directory))
  removeStalePartials(storePath(directory))
  try {
    const isThere = existsSync(storePath(directory))
    if (isThere && !replace) {
      throw new StoreError(`There is a store in ${directory} already; --force moves it aside and puts the backup there`)
    }
    copyFileSync(file, partial, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
    makePrivate(partial)
    syncToDisk(partial)
    // The copy is what will be used, and so what is examined.
    const facts = inspectBackup(partial, file)
    const aside = isThere ? keepAside(directory, now) : null
    // The old log would be taken for the new store's, and the old index for an index of it.
    for (const path of [storePath(directory), indexPath(directory)])
      for (const suffix of COMPANIONS) rmSync(path + suffix, { force: true })
    rmSync(indexPath(directory), { force: true })
    renameSync(partial, storePath(directory))
    syncToDisk(directory)
    return { ...facts, aside }
  } finally {
    rmSync(partial, { force: true })
    unlock()
  }
}

function inspectBackup(copy: string, file: string): StoreFacts {
  try {
    return inspectStore(copy, { thorough: true, isPrivate: true, named: file })
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    throw new StoreError(error.message, {
      cause: error,
      ...(error.advice !== null && { advice: 'take another backup' }),
    })
  }
}

/** What a process left that was killed before it was done: its number is in the name. */
function removeStalePartials(file: string): void {
  const folder = dirname(resolve(file))
  const start = `${basename(file)}.`
  for (const name of readdirSync(folder)) {
    const pid = name.startsWith(start)
      ? /^(\d+)\.partial(-journal|-wal|-shm)?$/.exec(name.slice(start.length))?.[1]
      : undefined
    if (pid !== undefined && !isRunning(Number(pid))) rmSync(join(folder, name), { force: true })
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

function assertBackup(file: string): void {
  const found = statSync(file, { throwIfNoEntry: false })
  if (found === undefined) throw new StoreError(`There is no file ${file}`)
  if (!found.isFile()) throw new StoreError(`${file} is no file`)
  const log = statSync(`${file}-wal`, { throwIfNoEntry: false })
  if (log !== undefined && log.size > 0) {
    throw new StoreError(
      `${file} has a write-ahead log beside it, so it is a store in use and only part of one; \`ticketflow backup\` makes a whole copy of it`,
    )
  }
}

/** Gives the old store a second name, so that there is a store at every moment; a log keeps the name SQLite looks for. */
function keepAside(directory: string, now: Date): string {
  const stamp = now.toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const aside = join(directory, `${basename(storePath(directory))}.before-restore-${stamp}`)
  for (const suffix of ['', '-wal']) {
    if (existsSync(storePath(directory) + suffix)) linkOrCopy(storePath(directory) + suffix, aside + suffix)
  }
  syncToDisk(directory)
  return aside
}

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to)
  } catch (error) {
    const isUnsupported = error instanceof Error && 'code' in error && error.code !== 'EEXIST'
    if (!isUnsupported) throw error
    copyFileSync(from, to, constants.COPYFILE_EXCL)
    syncToDisk(to)
  }
}
