import { rmSync } from 'node:fs'
import { resolve } from 'node:path'

import { backUpStore, partialPath, type Progress, restoreStore } from '../store/sqlite-backup.ts'
import { embeddedConfig } from './embedded.ts'
import { exitWith } from './fault.ts'
import { clearLine, drawLine, percent } from './progress.ts'
import { count, print, size } from './table.ts'

type Options = { force?: boolean; json?: boolean }

/** Copies the store into `file` while a server may be writing to it. Exit code 1, with no file made, when it can't. */
export async function backup(file: string, { force = false, json = false }: Options): Promise<void> {
  const started = performance.now()
  const forget = removeWhenInterrupted(partialPath(file))
  try {
    const { dataDir: directory } = embeddedConfig('back it up with `pg_dump --format=custom`')
    const made = await backUpStore({ directory, file, replace: force, onProgress: progressLine })
    clearLine()
    const seconds = Math.round(performance.now() - started) / 1000
    if (json) return print(JSON.stringify({ ok: true, file: resolve(file), directory, seconds, ...made }, null, 2))
    const { tickets, deliveries } = made.counts
    print(
      `Backed up ${count(tickets, 'ticket')} and ${count(deliveries, 'delivery', 'deliveries')} to ${file}: ` +
        `${size(made.bytes)} in ${seconds.toFixed(1)} s, read back and sound`,
    )
    print(`To use it: ticketflow restore ${file}`)
  } catch (error) {
    clearLine()
    exitWith(error)
  } finally {
    forget()
  }
}

/** Makes the backup `file` the store of the data directory. Exit code 1, with nothing changed, when it can't. */
export function restore(file: string, { force = false, json = false }: Options): void {
  try {
    const { dataDir: directory } = embeddedConfig('restore it with `pg_restore`')
    const restored = restoreStore({ directory, file, replace: force, now: new Date() })
    if (json) return print(JSON.stringify({ ok: true, file: resolve(file), directory, ...restored }, null, 2))
    const { tickets, deliveries } = restored.counts
    print(
      `Restored ${count(tickets, 'ticket')} and ${count(deliveries, 'delivery', 'deliveries')} from ${file} to ${directory}`,
    )
    if (restored.aside !== null) print(`The store that was there is kept as ${restored.aside}`)
    if (restored.schema < restored.newestSchema) print('It is of an older version; the next start brings it up to date')
    print('The search index is made anew when the server starts: npm start')
  } catch (error) {
    exitWith(error)
  }
}

const progressLine: Progress = (done, total) =>
  drawLine(`${percent(done, total)} %  ${size(done)} of about ${size(total)}`)

/** Leaves no half backup behind when somebody stops it. Returns a function that ends the watch. */
function removeWhenInterrupted(path: string): () => void {
  const onSignal = (signal: NodeJS.Signals) => {
    clearLine()
    for (const suffix of ['', '-journal']) rmSync(path + suffix, { force: true })
    // An exit would wait for the copying thread; the signal itself does not.
    process.removeListener(signal, onSignal)
    process.kill(process.pid, signal)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return () => {
    process.removeListener('SIGINT', onSignal)
    process.removeListener('SIGTERM', onSignal)
  }
}
