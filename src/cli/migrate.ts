import { readConfig } from '../config.ts'
import { StoreError } from '../store/sqlite-files.ts'
import { type Transfer, transferStore } from '../store/transfer.ts'
import { exitWith } from './fault.ts'
import { clearLine, drawLine, percent } from './progress.ts'
import { count, print, printTable } from './table.ts'

/** Moves the store of the data directory into the database of DATABASE_URL. Exit code 1 when it is not all there. */
export async function migrate({ json = false }: { json?: boolean }): Promise<void> {
  const started = performance.now()
  try {
    const { dataDir: directory, databaseUrl, nodeId } = readConfig()
    if (databaseUrl === null) {
      throw new StoreError('DATABASE_URL names the PostgreSQL to move to; set it, such as postgres://user@host/tickets')
    }
    const moved = await transferStore({
      directory,
      url: databaseUrl,
      node: nodeId,
      now: Date.now(),
      onProgress: ({ table: name, isVerifying, done, total }) =>
        drawLine(`${name}: ${isVerifying ? 'compared' : 'moved'} ${percent(done, total)} % of ${total}`),
    })
    clearLine()
    const seconds = Math.round(performance.now() - started) / 1000
    if (json) return print(JSON.stringify({ ok: true, directory, seconds, ...moved }, null, 2))
    tell(moved, seconds)
  } catch (error) {
    clearLine()
    exitWith(error)
  }
}

function tell({ resumed, tables }: Transfer, seconds: number): void {
  const rows = tables.reduce((sum, one) => sum + one.rows, 0)
  print(`Moved ${count(rows, 'row')} in ${seconds.toFixed(1)} s${resumed ? ', going on where it had stopped' : ''};`)
  print('each of them was read back and is the same:\n')
  printTable(
    ['table', 'rows', 'SHA-256 of all of them'],
    tables.map(({ name, rows: own, sha256 }) => ({ state: 'ok', cells: [name, own.toLocaleString('en-US'), sha256] })),
  )
  print(
    '\nThe files are as they were. Start the server with DATABASE_URL and this data directory: it is the same node,',
  )
  print('and its keys for receipts and for the secrets of sources are in there.')
}
