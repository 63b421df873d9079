import { styleText } from 'node:util'

export type State = 'ok' | 'pass' | 'warn' | 'fail'

/** One row: its state, its cells, and lines of their own below it. */
export type Row = { state: State; cells: string[]; notes?: string[] }

const COLOURS = { ok: 'green', pass: 'green', warn: 'yellow', fail: 'red' } as const satisfies Record<State, string>
const STATE_WIDTH = 4
const CELL_LIMIT = 60

/** Rows under headings, in columns as wide as they have to be; colours only where a terminal shows them. */
export function printTable(headings: string[], rows: Row[]): void {
  const cells = rows.map((row) => row.cells.map(oneLine))
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...cells.map((row) => row[column]?.length ?? 0)),
  )
  const line = (row: string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()

  print(paint('bold', `${' '.repeat(STATE_WIDTH)}  ${line(headings)}`))
  rows.forEach(({ state, notes = [] }, index) => {
    print(`${paint(COLOURS[state], state.padEnd(STATE_WIDTH))}  ${line(cells[index] ?? [])}`)
    for (const note of notes) print(`${' '.repeat(STATE_WIDTH)}  ${paint(COLOURS[state], '→')} ${note}`)
  })
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Coloured when standard output is a terminal that wants colours, else as it is. */
export function paint(style: Parameters<typeof styleText>[0], text: string): string {
  return styleText(style, text, { stream: process.stdout })
}

function oneLine(cell: string): string {
  const line = cell.replaceAll(/[\s\p{Cc}]+/gu, ' ')
  return line.length > CELL_LIMIT ? `${line.slice(0, CELL_LIMIT - 1)}…` : line
}

/** `1 ticket`, `1,234 tickets`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en-US')} ${number === 1 ? one : many}`
}

/** A number of bytes for people. */
export function size(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(bytes, 1)) / 10))
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}
