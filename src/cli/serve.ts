import { ConfigError, readConfig } from '../config.ts'
import { startServer } from '../main.ts'
import { StoreError } from '../store/sqlite-files.ts'

/** Runs the server until it is told to stop. Exit code 0 after a clean stop, 1 when it could not start. */
export async function serve(): Promise<void> {
  try {
    const server = await startServer(readConfig())
    let stopping = false
    const stop = () => {
      // A second signal is from somebody who does not want to wait; nothing acknowledged is lost either way.
      if (stopping) process.exit(1)
      stopping = true
      server.close().then(
        () => process.exit(0),
        (error: unknown) => exitWith(error),
      )
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
  } catch (error) {
    exitWith(error)
  }
}

function exitWith(error: unknown): never {
  for (const line of explain(error)) process.stderr.write(`ticketflow: ${line}\n`)
  process.exit(1)
}

/** What went wrong at the start, in words for the person who started it. */
function explain(error: unknown): string[] {
  if (error instanceof ConfigError) return error.faults
  if (error instanceof StoreError) return [error.message]
  if (error instanceof Error && 'code' in error) {
    const { code, port, address } = error as NodeJS.ErrnoException & { port?: number; address?: string }
    if (code === 'EADDRINUSE') return [`Port ${port} of ${address} is in use; stop what uses it or set PORT`]
    if (code === 'EACCES') return [`Port ${port} may not be used by this user; set PORT to one above 1023`]
    if (code === 'EADDRNOTAVAIL') return [`HOST ${address} is no address of this machine`]
  }
  return [error instanceof Error ? (error.stack ?? error.message) : String(error)]
}
