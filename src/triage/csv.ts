/**
 * The rows of a CSV text (RFC 4180): quoted fields with commas, line ends and doubled quotes in them, any line end, a
 * byte order mark. Blank lines are none. Throws with the line where a quote that opens is never closed.
 */
export function parseCsv(text: string): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  let line = 1
  // A field, quoted or not, and what ends it.
  const field = /(?:"([^"]*(?:""[^"]*)*)"[^",\r\n]*|([^,\r\n]*))(,|\r\n|\n|\r|$)/y
  field.lastIndex = text.startsWith('\u{FEFF}') ? 1 : 0
  while (field.lastIndex < text.length || row.length > 0) {
    const match = field.exec(text)
    if (match === null) throw new Error(`Line ${line} has a quote that is not closed`)
    const [whole, quoted, plain = '', end] = match
    if (quoted === undefined && plain.startsWith('"')) throw new Error(`Line ${line} has a quote that is not closed`)
    line += whole.match(/\r\n|\n|\r/g)?.length ?? 0
    row.push(quoted?.replaceAll('""', '"') ?? plain)
    if (end === ',') continue
    if (row.length > 1 || row[0] !== '') rows.push(row)
    row = []
  }
  return rows
}
