import { type Config, readConfig } from '../config.ts'
import { isEmail } from '../core/text.ts'
import { erasePerson, type Erasure } from '../store/sqlite-forget.ts'
import { StoreError } from '../store/sqlite-files.ts'
import { exitWith } from './fault.ts'
import { clearLine, drawLine, percent } from './progress.ts'
import { count, paint, print } from './table.ts'

type Options = { email: string; dryRun?: boolean; json?: boolean }

/** Takes what is about a person out of the store. Exit code 1 when something of it is left that should not be. */
export async function erase({ email, dryRun = false, json = false }: Options): Promise<void> {
  try {
    if (!isEmail(email)) throw new StoreError(`${email} is no e-mail address; give one as in --email ann@example.com`)
    const config = readConfig()
    const erasure = await eraseFrom(config, {
      email,
      isDry: dryRun,
      actor: 'command line',
      now: Date.now(),
      onProgress: (step, done, total) => drawLine(`${step}: ${percent(Math.min(done, total), total)} %`),
    })
    clearLine()
    if (json) print(JSON.stringify(reportJson(erasure, dryRun), null, 2))
    else show(erasure, { isDry: dryRun, isDatabase: config.databaseUrl !== null })
    if (!isDone(erasure)) process.exitCode = 1
  } catch (error) {
    clearLine()
    exitWith(error)
  }
}

type Request = Omit<Parameters<typeof erasePerson>[0], 'directory'>

async function eraseFrom({ databaseUrl, dataDir }: Config, request: Request): Promise<Erasure> {
  if (databaseUrl === null) return erasePerson({ directory: dataDir, ...request })
  const { erasePostgresPerson } = await import('../store/postgres-erase.ts')
  const erased = await erasePostgresPerson(databaseUrl, request)
  // Nodes may be running anywhere, and their files hold nothing but keys.
  return { ...erased, isLive: false, files: [], isIndexNew: true }
}

const isDone = ({ files, isIndexNew }: Erasure) => files.length === 0 && isIndexNew

function show(erasure: Erasure, { isDry, isDatabase }: { isDry: boolean; isDatabase: boolean }): void {
  const { deliveries, tickets, mentions, timeline, keys, sources, articles, left, files, isIndexNew } = erasure
  const nothing = deliveries + tickets + mentions + timeline + keys + sources + articles === 0
  if (isDry) print(nothing ? 'Nothing would be erased' : 'Would be erased:')
  else print(nothing ? 'Nothing is left to erase' : paint('green', 'Erased:'))
  const lines: [number, string][] = [
    [deliveries, `${count(deliveries, 'delivery', 'deliveries')}: address, path, headers, body, id, key and reason`],
    [tickets, `${count(tickets, 'ticket')} of the person: all but the row, its sorting and its identity`],
    [mentions, `${count(mentions, 'ticket')} of others that mention the address: the mention`],
    [timeline, `${count(timeline, 'line')} of timelines`],
    [keys, `${count(keys, 'name')} of API keys`],
    [sources, `the settings of ${count(sources, 'source')}`],
    [articles, `${count(articles, 'article')} that mention the address: the mention`],
  ]
  for (const [number, line] of lines) if (number > 0) print(`  ${line}`)
  if (isDry) return
  for (const [table, rows] of Object.entries(left)) {
    print(`Left in ${table}: ${count(rows, 'row')} that came meanwhile, or hold it as part of a longer word`)
  }
  if (files.length > 0) {
    print(`${paint('red', 'Still in')} ${files.join(', ')}: remove what you no longer need, and run it again`)
  }
  if (!isIndexNew) {
    print(`${paint('red', 'The running server')} has not made its search index anew yet; run it again`)
  }
  if (isDatabase) {
    print(
      'What PostgreSQL keeps of rows as they were goes with VACUUM FULL tickets, timeline, deliveries, articles, chunks',
    )
    return print('Not touched: dumps and archived logs made before, and what is inside compressed files or pictures')
  }
  if (isDone(erasure)) print('No other file of the data directory holds the address, searched byte by byte')
  print('Not touched: backups made before, logs, and what is inside compressed files or pictures')
}

const reportJson = (erasure: Erasure, isDry: boolean) => ({
  ok: isDone(erasure),
  dry_run: isDry,
  deliveries: erasure.deliveries,
  tickets: erasure.tickets,
  tickets_mentioning: erasure.mentions,
  timeline_entries: erasure.timeline,
  api_keys: erasure.keys,
  sources: erasure.sources,
  articles: erasure.articles,
  left: erasure.left,
  files: erasure.files,
  index_renewed: erasure.isIndexNew,
  server_running: erasure.isLive,
})
