import type { CronEntry, Handlers, HandlerSpec } from '../core/jobs.ts'
import type { Role } from '../core/role.ts'
import { housekeeping } from './housekeeping.ts'

/**
 * All that a node of this role does beside requests; null when that is nothing. A kind of job gets its handler here, and
 * here alone; until it has one its jobs wait.
 */
export function workOf(
  role: Role,
  /** Null leaves the jobs of triage waiting. */
  triage: HandlerSpec | null,
  /** What is done again and again beside housekeeping. */
  cron: readonly CronEntry[],
  deps: Parameters<typeof housekeeping>[0],
): { handlers: Handlers; cron: readonly CronEntry[] } | null {
  if (role === 'intake') return null
  return { handlers: triage === null ? {} : { triage }, cron: [housekeeping(deps), ...cron] }
}
