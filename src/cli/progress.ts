/** One line on standard error that is drawn over and over, so that what is printed stays clean; nothing where nobody watches. */
export function drawLine(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001B[K  ${text}`)
}

export function clearLine(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001B[K')
}

export const percent = (done: number, total: number) => (total === 0 ? 0 : Math.floor((done / total) * 100))
