const HEADING = /^(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4} [\d:]{4,8}(?: [AP]M)?) - (.{1,200}) \((.{1,60})\)$/
const headingOf = (line = '') => (line.length < 300 ? HEADING.exec(line.trim()) : null)

/**
 * The newest entry of a ServiceNow journal. A journal is either the text that was just written, or all of it with the
 * newest first, each entry below a heading: "2026-11-20 09:14:40 - Abel Tuter (Work notes)".
 */
export function newestEntry(journal: string) {
  const lines = journal.split('\n')
  const heading = headingOf(lines[0])
  if (heading === null) return { sentAt: null, author: null, label: null, body: journal }
  const next = lines.findIndex((line, index) => index > 0 && headingOf(line) !== null)
  const body = lines.slice(1, next < 0 ? undefined : next).join('\n')
  const [, sentAt = null, author = null, label = null] = heading
  return { sentAt, author, label, body: body.trim() }
}
