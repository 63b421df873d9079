import { readConfig } from '../config.ts'
import type { Role } from '../core/role.ts'
import { startServer } from '../main.ts'
import { exitWith } from './fault.ts'

/** Runs the server until it is told to stop. `role` counts more than the environment's. Exit code 0 after a clean stop, 1 when it could not start. */
export async function serve({ role }: { role?: Role }): Promise<void> {
  try {
    const config = readConfig()
    const server = await startServer({ ...config, role: role ?? config.role }, announce)
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

function announce(secret: string): void {
  process.stderr.write(
    'ticketflow: Others can reach this server, so every request needs a key. This one may do everything, and is shown\n' +
      `ticketflow: this once; \`ticketflow keys create\` makes others:\n\n    ${secret}\n\n`,
  )
}
