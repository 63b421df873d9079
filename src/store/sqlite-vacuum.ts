import { DatabaseSync } from 'node:sqlite'
import { workerData } from 'node:worker_threads'

// A thread of its own, because the copy is one call that may take minutes. It reads one state of the store from its
// first byte to its last, whatever the server writes meanwhile, and holds up nobody.
const { from, to } = workerData as { from: string; to: string } // given by sqlite-backup.ts

const db = new DatabaseSync(from, { readOnly: true, timeout: 5000 })
db.prepare('vacuum into ?').run(to)
db.close()
