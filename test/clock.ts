import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { ROOT } from './server.ts'

const preload = pathToFileURL(join(ROOT, 'test/clock.mjs')).href

/** A wall clock for a server that is started with `env`; `folder` keeps how far it is ahead. */
export function createClock(folder: string) {
  const file = join(folder, 'clock')
  return {
    env: { NODE_OPTIONS: `--import ${preload}`, TEST_CLOCK: file },
    /** Puts it so many ms ahead; the server looks every 20 ms. */
    put: async (ahead: number) => {
      await writeFile(file, String(ahead))
      await new Promise((resolve) => setTimeout(resolve, 200))
    },
  }
}
