import { Copy } from '../parts/copy.tsx'
import { counted } from '../parts/counted.ts'

const VALUE_CHARS = 4_000

/** What the sender said beyond the ticket's own fields. */
export function Metadata({ metadata }: { metadata: Record<string, unknown> }) {
  const fields = Object.entries(metadata).filter(([, value]) => value !== null && value !== '')
  if (fields.length === 0) return null
  return (
    <section aria-label="Metadata" className="flex flex-col gap-2">
      <div className="flex items-center justify-between">
        <h3 className="font-semibold">Metadata</h3>
        <Copy text={JSON.stringify(metadata, null, 2)} what="metadata" label="JSON" />
      </div>
      <dl className="grid grid-cols-[minmax(6rem,max-content)_1fr] gap-x-6 gap-y-1.5 text-sm">
        {fields.map(([name, value]) => (
          <div key={name} className="col-span-2 grid grid-cols-subgrid">
            <dt className="text-muted wrap-anywhere">{name.replaceAll('_', ' ')}</dt>
            <dd className="min-w-0">
              <Value value={value} />
            </dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

function Value({ value }: { value: unknown }) {
  const isPlain = typeof value !== 'object' || value === null
  const isWords = Array.isArray(value) && value.every((one) => typeof one !== 'object')
  if (isPlain || isWords) {
    const text = isWords ? value.join(', ') : String(value)
    return (
      <span className="whitespace-pre-wrap wrap-anywhere">
        {text.slice(0, VALUE_CHARS)}
        {text.length > VALUE_CHARS && '…'}
      </span>
    )
  }
  const json = JSON.stringify(value, null, 2)
  return (
    <details>
      <summary className="text-muted">{counted(Object.keys(value).length, 'field')}</summary>
      <pre className="mt-1 max-h-80 overflow-auto rounded-md bg-raised p-3 font-mono text-xs" tabIndex={0}>
        {json.slice(0, VALUE_CHARS)}
        {json.length > VALUE_CHARS && '…'}
      </pre>
    </details>
  )
}
