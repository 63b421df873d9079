import { Dialog } from '../parts/dialog.tsx'
import { useShortcutsOn } from '../parts/shortcuts.ts'

const KEYS = [
  ['j k', 'next and previous ticket'],
  ['Enter', 'open it'],
  ['Esc', 'close it, or let go of what is selected'],
  ['x', 'select it; Shift and a click select all between'],
  ['e', 'close what is selected, or the ticket that is open'],
  ['/', 'search'],
  ['⌘K Ctrl+K', 'commands'],
  ['?', 'this'],
] as const

export default function Help({ onClose }: { onClose: () => void }) {
  const [areOn, set] = useShortcutsOn()
  return (
    <Dialog title="Keyboard shortcuts" open onClose={onClose}>
      <dl className="grid grid-cols-[max-content_1fr] gap-x-6 gap-y-2 text-sm">
        {KEYS.map(([keys, what]) => (
          <div key={keys} className="col-span-2 grid grid-cols-subgrid">
            <dt className="flex gap-1">
              {keys.split(' ').map((key) => (
                <kbd key={key} className="rounded border border-line bg-raised px-1.5 font-mono text-xs leading-5">
                  {key}
                </kbd>
              ))}
            </dt>
            <dd className="text-muted">{what}</dd>
          </div>
        ))}
      </dl>
      <label className="mt-5 flex items-center gap-2 text-sm">
        <input type="checkbox" checked={areOn} onChange={(event) => set(event.target.checked)} className="size-4" />
        Single keys do something
      </label>
    </Dialog>
  )
}
