import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Before any server is started: what it serves at / is built from a clean checkout too.
    globalSetup: ['test/console-build.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Tests start real servers and time out real sockets: more files at once than cores would only make them wait.
    maxWorkers: 2,
    // As in the start script: see "V8 may not protect" in docs/decisions.md.
    execArgv: ['--no-memory-protection-keys'],
  },
})
