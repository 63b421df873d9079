import { execFile } from 'node:child_process'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo, Server } from 'node:net'

import { ROOT } from './server.ts'

export type Run = { code: number; stdout: string; stderr: string }

/** Runs a program to its end; never throws for its exit code. */
export function run(program: string, args: string[], env: Record<string, string> = {}, timeout = 15_000): Promise<Run> {
  return new Promise((resolve, reject) => {
    const options = { cwd: ROOT, env: { PATH: process.env['PATH'], ...env }, timeout }
    execFile(program, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code
      if (typeof code === 'number') resolve({ code, stdout, stderr })
      else reject(error)
    })
  })
}

/** Runs `ticketflow …` to its end. */
export const ticketflow = (args: string[], env: Record<string, string> = {}) =>
  run(process.execPath, ['bin/ticketflow.js', ...args], env)

/** Listens on a free port for as long as `use` runs. */
export async function listening<T>(server: Server, use: (port: number) => Promise<T>): Promise<T> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await use((server.address() as AddressInfo).port)
  } finally {
    if ('closeAllConnections' in server) (server as ReturnType<typeof createServer>).closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

export const fakeServer = (listener: RequestListener) => createServer(listener)

/** A port that nobody listens on. */
export const freePort = () => listening(createServer(), async (port) => port)
