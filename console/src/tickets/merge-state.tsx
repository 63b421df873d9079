import type { Ticket } from '../api/types.ts'
import { Button } from '../parts/button.tsx'
import { Icon } from '../parts/icon.tsx'
import type { TicketSearch } from './search.ts'
import { TicketLink } from './ticket-link.tsx'

/** A ticket may stand for a thousand. */
const SHOWN = 30

/** Which ticket stands for this one, or for which ones this one stands; nothing where neither is so. */
export function MergeState({
  ticket: { id, merged_into: into, merged = [] },
  search,
  isLocked,
  onUnmerge,
}: {
  ticket: Ticket
  search: TicketSearch
  isLocked: boolean
  onUnmerge: (id: number) => void
}) {
  if (!into && merged.length === 0) return null
  return (
    <section
      aria-label="Merged tickets"
      className="flex flex-wrap items-center gap-x-2 gap-y-1 rounded-xl border border-line bg-raised px-4 py-2.5 text-sm"
    >
      <Icon name="link" />
      {into ? (
        <>
          <span>Merged into</span>
          <TicketLink id={into} search={search} />
          <Button size="sm" className="ml-auto" disabled={isLocked} onClick={() => onUnmerge(id)}>
            Un-merge
          </Button>
        </>
      ) : (
        <>
          <span>Stands for</span>
          {merged.slice(0, SHOWN).map((one) => (
            <TicketLink key={one} id={one} search={search} />
          ))}
          {merged.length > SHOWN && <span className="text-muted">and {merged.length - SHOWN} more</span>}
        </>
      )}
    </section>
  )
}
