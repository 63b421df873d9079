import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'

import { sessionQuery, signOut } from '../api/session.ts'
import { buttonClass } from '../parts/button.tsx'
import { Icon } from '../parts/icon.tsx'
import { Menu, MenuItem } from '../parts/menu.tsx'

/** Who is signed in, or that nobody has to be. */
export function Account() {
  const { data: session } = useQuery(sessionQuery)
  const navigate = useNavigate()
  const client = useQueryClient()
  const leave = useMutation({
    mutationFn: signOut,
    onSuccess: async () => {
      await navigate({ to: '/sign-in', search: {} })
      client.clear()
    },
  })
  if (session === undefined) return <span className="h-8" />
  if (session.open) {
    return (
      <span
        className="px-2 text-xs text-muted"
        title="No key and no source exists yet, so that whoever uses this machine may read and change everything. Nobody else reaches it. Making a key closes it."
      >
        Open on this machine
      </span>
    )
  }
  return (
    <Menu
      trigger={
        <button type="button" className={`${buttonClass('quiet', 'sm')} min-w-0 shrink!`}>
          <span className="truncate">{session.name ?? 'Signed in'}</span>
          <Icon name="down" className="size-3" />
        </button>
      }
    >
      <MenuItem onSelect={() => leave.mutate()}>Sign out</MenuItem>
    </Menu>
  )
}
