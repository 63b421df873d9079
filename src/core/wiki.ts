import { cleanText } from './text.ts'

/**
 * Jira's wiki markup to the text that a reader sees: headings, emphasis, lists, links and code lose their marks.
 * Every pattern is read in linear time, whatever the text.
 */
export function wikiToText(wiki: string): string {
  const parts = wiki.split(/\{(?:code|noformat)(?::[^{}\n]*)?\}/)
  // Each second part stood between two code marks, and is left as it was written.
  return cleanText(parts.map((part, index) => (index % 2 === 1 ? part : prose(part))).join(''))
}

function prose(part: string): string {
  const numbers: number[] = []
  return part
    .replace(/\{(?:color|panel|quote|anchor|expand)(?::[^{}\n]*)?\}/g, '')
    .split('\n')
    .map((line) => inline(bulleted(line.replace(/^\s*(?:h[1-6]|bq)\.\s+/, '').replace(/^-{4,}\s*$/, ''), numbers)))
    .join('\n')
}

/** `#` and `*` in front of a line become a number or a dash, deeper ones further in. */
function bulleted(line: string, numbers: number[]): string {
  const [whole, marks = '', rest = ''] = /^\s*([*#-]{1,6})\s+(.*)$/.exec(line) ?? []
  if (whole === undefined) {
    numbers.length = 0
    return tableRow(line)
  }
  numbers.length = Math.min(numbers.length, marks.length)
  const count = (numbers[marks.length - 1] ?? 0) + 1
  numbers[marks.length - 1] = count
  return `${'  '.repeat(marks.length - 1)}${marks.endsWith('#') ? `${count}.` : '-'} ${rest}`
}

const tableRow = (line: string) =>
  /^\s*\|/.test(line)
    ? line
        .split(/\|\|?/)
        .map((cell) => cell.trim())
        .filter((cell) => cell !== '')
        .join(' | ')
    : line

function inline(line: string): string {
  return line
    .replace(/\{\{([^{}\n]*)\}\}/g, '$1')
    .replace(/\[~(?:accountid:)?([^\]\n[]*)\]/g, '@$1')
    .replace(/\[([^\]|\n[]*)\|([^\]|\n[]*)(?:\|[^\]\n[]*)?\]/g, (_, said: string, url: string) =>
      said === url ? url : `${said} (${url})`,
    )
    .replace(/\[((?:https?|mailto|ftp):[^\]|\n[]*)\]/g, '$1')
    .replace(/!([^\s!|][^!|\n]*\.[a-z0-9]{2,4})(?:\|[^!\n]*)?!/gi, '[$1]')
    .replace(/(^|[\s(>"'])([*_+]|\?\?)(\S|\S[^*_+?\n]*\S)\2(?=$|[\s).,;:!?<"'])/g, '$1$3')
    .replace(/\\([*_+{}[\]!|~-])/g, '$1')
}
