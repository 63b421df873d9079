import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useState } from 'react'

import { sessionQuery, signOut } from '../api/session.ts'
import { Button, buttonClass } from '../parts/button.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { Icon } from '../parts/icon.tsx'
import { Menu, MenuItem } from '../parts/menu.tsx'

/** Who is signed in, or that nobody has to be. */
export function Account() {
  const { data: session } = useQuery(sessionQuery)
  const navigate = useNavigate()
  const client = useQueryClient()
  const leave = useMutation({
    mutationKey: ['session'],
    mutationFn: signOut,
    onSuccess: async () => {
      await navigate({ to: '/sign-in', search: {} })
      client.clear()
    },
  })
  if (session === undefined) return <span className="h-8" />
  if (session.open) return <OpenNotice />
  return (
    <Menu
      trigger={
        <button
          type="button"
          title={session.name ?? undefined}
          className={`${buttonClass('quiet', 'sm')} min-w-0 shrink!`}
        >
          <span className="truncate">{session.name ?? 'Signed in'}</span>
          <Icon name="down" className="size-3" />
        </button>
      }
    >
      <MenuItem onSelect={() => leave.mutate()}>Sign out</MenuItem>
    </Menu>
  )
}

/** What it means that nobody has to sign in, and how that ends. */
function OpenNotice() {
  const [isShown, setIsShown] = useState(false)
  return (
    <>
      <Button look="quiet" size="sm" className="text-xs!" onClick={() => setIsShown(true)}>
        Open on this machine
      </Button>
      <Dialog title="Open on this machine" open={isShown} onClose={() => setIsShown(false)}>
        <div className="flex flex-col gap-3">
          <p>
            There is no key and no source yet, so nobody has to sign in: whoever uses this machine may read and change
            everything. Other machines cannot reach the server, and web pages of others may not use it.
          </p>
          <p>
            The first key or source closes it:{' '}
            <Link
              to="/settings"
              search={{}}
              onClick={() => setIsShown(false)}
              className="text-accent underline underline-offset-2"
            >
              make a key
            </Link>{' '}
            here, or with <code className="font-mono text-sm">ticketflow keys create</code>.
          </p>
        </div>
      </Dialog>
    </>
  )
}
