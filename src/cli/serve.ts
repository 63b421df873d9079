import cluster from 'node:cluster'

import { readConfig } from '../config.ts'
import type { Role } from '../core/role.ts'
import { startServer } from '../main.ts'
import { exitWith } from './fault.ts'
import { supervise, whenToldToStop } from './workers.ts'

/** Runs the server until it is told to stop. `role` counts more than the environment's. Exit code 0 after a clean stop, 1 when it could not start. */
export async function serve({ role }: { role?: Role }): Promise<void> {
  try {
    const config = readConfig()
    if (config.workers > 1 && cluster.isPrimary) {
      process.exit(await supervise({ count: config.workers, say: complain }))
    }
    const server = await startServer({ ...config, role: role ?? config.role }, announce)
    const stop = () =>
      void server.close().then(
        () => process.exit(0),
        (error: unknown) => exitWith(error),
      )
    if (cluster.isWorker) return whenToldToStop(stop)
    let stopping = false
    const onSignal = () => {
      // A second signal is from somebody who does not want to wait; nothing acknowledged is lost either way.
      if (stopping) process.exit(1)
      stopping = true
      stop()
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  } catch (error) {
    exitWith(error)
  }
}

const complain = (line: string) => void process.stderr.write(`ticketflow: ${line}\n`)

function announce(secret: string): void {
  process.stderr.write(
    'ticketflow: Others can reach this server, so every request needs a key. This one may do everything, and is shown\n' +
      `ticketflow: this once; \`ticketflow keys create\` makes others:\n\n    ${secret}\n\n`,
  )
}
