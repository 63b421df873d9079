import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useState } from 'react'

import { articleQuery, type WholeArticle } from '../api/articles.ts'
import { api, ApiError } from '../api/client.ts'
import { may, sessionQuery } from '../api/session.ts'
import { Badge } from '../parts/badge.tsx'
import { Button, buttonClass } from '../parts/button.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { Icon } from '../parts/icon.tsx'
import { Empty, Failed, Loading } from '../parts/state.tsx'
import { Time } from '../parts/time.tsx'
import { say } from '../parts/toast.tsx'

const route = getRouteApi('/shell/articles/$articleId')

/** One article, to be read. */
export function ArticlePane() {
  const { articleId } = route.useParams()
  const search = route.useSearch()
  const id = /^\d{1,15}$/.test(articleId) ? Number(articleId) : 0
  const session = useQuery(sessionQuery)
  const found = useQuery({ ...articleQuery(id), enabled: id > 0 })
  const [isRemoving, setRemoving] = useState(false)
  const isMissing = id === 0 || (found.error instanceof ApiError && found.error.status === 404)
  return (
    <section aria-label={`Article ${articleId}`} className="flex min-h-0 min-w-0 flex-1 flex-col overflow-auto bg-pane">
      <div className="sticky top-0 z-10 flex items-center gap-2 border-b border-line bg-pane px-4 py-2">
        <Link to="/articles" search={search} aria-label="Close the article" className={buttonClass('quiet', 'icon')}>
          <Icon name="back" className="size-4 lg:hidden" />
          <Icon name="close" className="hidden size-4 lg:block" />
        </Link>
        <h2 className="min-w-0 truncate font-semibold">{found.data?.title ?? `Article ${articleId}`}</h2>
        <span className="ml-auto" />
        {found.data && may(session.data, 'write') && (
          <Button look="danger" size="sm" onClick={() => setRemoving(true)}>
            Remove…
          </Button>
        )}
      </div>
      {isMissing && (
        <Empty icon="search" title={`There is no article ${articleId}`}>
          It may have been removed.
        </Empty>
      )}
      {found.isPending && id > 0 && <Loading />}
      {found.isError && !isMissing && <Failed error={found.error} retry={() => void found.refetch()} />}
      {found.data && <Text article={found.data} />}
      {found.data && isRemoving && <Remove article={found.data} onClose={() => setRemoving(false)} />}
    </section>
  )
}

function Text({ article: { source, format, labels, updated_at: updated, body } }: { article: WholeArticle }) {
  return (
    <article className="flex flex-col gap-3 p-4 md:p-6">
      <p className="flex flex-wrap items-center gap-2 text-sm text-muted">
        <span className="wrap-anywhere">{source === null ? 'Typed in' : <Source source={source} />}</span>
        <Badge>{format}</Badge>
        {labels.map((label) => (
          <Badge key={label}>{label}</Badge>
        ))}
        <Time at={updated} />
      </p>
      <p className="max-w-prose whitespace-pre-wrap wrap-anywhere">{body}</p>
    </article>
  )
}

const Source = ({ source }: { source: string }) =>
  /^https?:\/\//.test(source) ? (
    <a href={source} target="_blank" rel="noreferrer noopener" className="text-accent hover:underline">
      {source}
    </a>
  ) : (
    source
  )

function Remove({ article: { id, title }, onClose }: { article: WholeArticle; onClose: () => void }) {
  const client = useQueryClient()
  const navigate = route.useNavigate()
  const remove = useMutation({
    mutationFn: () => api<null>(`/api/articles/${id}`, { method: 'DELETE' }),
    onSuccess: async () => {
      say({ text: `${title} was removed` })
      onClose()
      await navigate({ to: '/articles', search: (search) => search })
      client.removeQueries({ queryKey: ['articles', id] })
      void client.invalidateQueries({ queryKey: ['articles', 'list'] })
    },
    onError: (error) => say({ text: error.message, tone: 'bad' }),
  })
  return (
    <Dialog title="Remove the article?" open onClose={onClose}>
      <p className="text-sm wrap-anywhere">
        “{title}” is found for no ticket any more. Drafts that were taken from it stay. It cannot be undone.
      </p>
      <div className="mt-4 flex justify-end gap-2">
        <Button onClick={onClose}>Keep it</Button>
        <Button look="danger" disabled={remove.isPending} onClick={() => remove.mutate()}>
          Remove it
        </Button>
      </div>
    </Dialog>
  )
}
