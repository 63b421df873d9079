// Preloaded into a server by NODE_OPTIONS: its wall clock is ahead by as many milliseconds as a file says.
import { readFileSync } from 'node:fs'

const { TEST_CLOCK } = process.env
const RealDate = Date
const real = Date.now
let ahead = 0
const read = () => {
  try {
    ahead = Number(readFileSync(TEST_CLOCK, 'utf8'))
  } catch {}
}
if (TEST_CLOCK !== undefined) {
  read()
  setInterval(read, 20).unref()
  globalThis.Date = class extends RealDate {
    constructor(...args) {
      super(...(args.length === 0 ? [real() + ahead] : args))
    }
    static now() {
      return real() + ahead
    }
  }
}
