import { InvalidArgumentError } from 'commander'

export const SETTINGS =
  'Settings are read from the environment and from .env in the working directory; docs/operations.md lists them.'

/** Lines of a command's help: what to type, and what it does. */
export function example(...lines: [command: string, what: string][]): string {
  const width = Math.max(...lines.map(([command]) => command.length))
  return `\nExamples:\n${lines.map(([command, what]) => `  ${command.padEnd(width)}  ${what}`.trimEnd()).join('\n')}`
}

/** For commander: throws what is wrong with an option's text. */
export function seconds(text: string): number {
  const value = Number(text)
  if (value > 0 && value <= 3600) return value
  throw new InvalidArgumentError('It must be a number of seconds above 0, at most 3600.')
}

/** As `seconds`. */
export function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (Number.isInteger(value) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max.toLocaleString('en-US')}.`)
  }
}

/** As `seconds`. */
export function share(text: string): number {
  const value = Number(text)
  if (value >= 0.5 && value < 1) return value
  throw new InvalidArgumentError('It must be a share from 0.5 to less than 1, such as 0.95.')
}

/** As `seconds`: `20 %`, `20%` or `0.2`. */
export function part(text: string): number {
  const [, number = '', sign] = /^(\d+|\d*\.\d+)\s?(%?)$/.exec(text.trim()) ?? []
  const value = Number(number) / (sign === '%' ? 100 : 1)
  if (value >= 0.01 && value <= 0.9) return value
  throw new InvalidArgumentError('It must be a share from 1% to 90%, such as 20% or 0.2.')
}

/** As `seconds`: a day or a moment, as ms. */
export function date(text: string): number {
  const value = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : NaN
  if (Number.isFinite(value)) return value
  throw new InvalidArgumentError('It must be a date such as 2026-11-01, or a time such as 2026-11-01T08:00:00Z.')
}
