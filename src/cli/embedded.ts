import { type Config, readConfig } from '../config.ts'
import { StoreError } from '../store/sqlite-files.ts'

/**
 * The configuration of a command that works on the files of the embedded store. With DATABASE_URL set they are not
 * the store, and to work on them would do nothing, or harm: throws StoreError, with what to do `instead`.
 */
export function embeddedConfig(instead: string): Config {
  const config = readConfig()
  if (config.databaseUrl === null) return config
  throw new StoreError(
    `The store is the PostgreSQL of DATABASE_URL, and this is for the embedded one: ${instead} (docs/postgres.md). ` +
      'To work on the data directory all the same, unset DATABASE_URL',
  )
}
