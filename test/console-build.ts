import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

import { ROOT } from './server.ts'

/** Builds the console where it is missing or stale, as `npm start` does. */
export default async function setup(): Promise<void> {
  await promisify(execFile)(process.execPath, ['bin/build-console.js'], { cwd: ROOT })
}
