import { ConfigError } from '../config.ts'
import { AppError } from '../core/errors.ts'
import { resultCode, storeFault, StoreError } from '../store/sqlite-files.ts'

/** Ends the process with exit code 1 and a line for each thing that was wrong. */
export function exitWith(error: unknown): never {
  for (const line of explain(error)) process.stderr.write(`ticketflow: ${line}\n`)
  process.exit(1)
}

/** What went wrong, in words for the person who started the program; a stack only where the fault is ours. */
function explain(error: unknown): string[] {
  if (error instanceof ConfigError) return error.faults
  if (error instanceof StoreError) return [error.advice === null ? error.message : `${error.message}; ${error.advice}`]
  if (error instanceof AppError) return [error.message]
  if (resultCode(error) !== 0) return explain(storeFault(error, 'The store'))
  if (error instanceof Error && 'code' in error) {
    const { code, port, address, syscall } = error as NodeJS.ErrnoException & { port?: number; address?: string }
    if (code === 'EADDRINUSE') return [`Port ${port} of ${address} is in use; stop what uses it or set PORT`]
    if (code === 'EACCES' && syscall === 'listen')
      return [`Port ${port} may not be used by this user; set PORT to one above 1023`]
    if (code === 'EADDRNOTAVAIL') return [`HOST ${address} is no address of this machine`]
    // The system's own refusals (no space, no permission, no such folder) name the file and the reason.
    if (syscall !== undefined) return [error.message]
  }
  return [error instanceof Error ? (error.stack ?? error.message) : String(error)]
}
