import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link, Outlet, useParams } from '@tanstack/react-router'
import { useState } from 'react'

import { type Article, articlesQuery } from '../api/articles.ts'
import { may, sessionQuery } from '../api/session.ts'
import { Badge } from '../parts/badge.tsx'
import { Button } from '../parts/button.tsx'
import { Page } from '../parts/page.tsx'
import { SearchField } from '../parts/search-field.tsx'
import { Empty, Failed, Loading } from '../parts/state.tsx'
import { Time } from '../parts/time.tsx'
import { Add } from './add.tsx'

const route = getRouteApi('/shell/articles')
const ROW = 60

/** The knowledge base: a list, and beside it the article that is open. */
export function ArticlesPage() {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const { articleId } = useParams({ strict: false })
  const session = useQuery(sessionQuery)
  const found = useInfiniteQuery(articlesQuery(search.q))
  const [isAdding, setAdding] = useState(false)
  const articles = found.data?.pages.flatMap((page) => page.articles) ?? []
  const add = may(session.data, 'write') && (
    <Button look="main" onClick={() => setAdding(true)}>
      Add…
    </Button>
  )
  return (
    <Page title="Articles" actions={add}>
      <div className="flex h-full min-h-0">
        <section
          aria-label="Articles, newest first"
          className={`min-h-0 min-w-0 flex-1 flex-col border-line lg:flex lg:max-w-md lg:border-r ${articleId === undefined ? 'flex lg:max-w-none' : 'hidden'}`}
        >
          <div className="flex border-b border-line bg-pane px-4 py-2">
            <SearchField
              label="Search articles"
              q={search.q ?? ''}
              onSearch={(q) => void navigate({ search: q === '' ? {} : { q }, replace: true })}
            />
          </div>
          {found.isPending && <Loading height={ROW} />}
          {found.isError && <Failed error={found.error} retry={() => void found.refetch()} />}
          {found.isSuccess && articles.length === 0 && (
            <Empty icon="articles" title={search.q === undefined ? 'No article yet' : 'No article holds these words'}>
              {search.q === undefined
                ? 'What is written down here is found for each ticket it is about, and its draft reply is taken from it.'
                : 'Each word has to occur; word* is how one begins.'}
            </Empty>
          )}
          {articles.length > 0 && (
            <div className="min-h-0 flex-1 overflow-auto bg-pane">
              <ul>
                {articles.map((article) => (
                  <li key={article.id} className="border-b border-line">
                    <Row article={article} search={search} />
                  </li>
                ))}
              </ul>
              {found.hasNextPage && (
                <div className="flex justify-center p-3">
                  <Button disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
                    Show more
                  </Button>
                </div>
              )}
            </div>
          )}
        </section>
        <Outlet />
      </div>
      {isAdding && <Add onClose={() => setAdding(false)} />}
    </Page>
  )
}

function Row({ article, search }: { article: Article; search: { q?: string } }) {
  const { id, title, source, format, labels, updated_at: updated } = article
  return (
    <Link
      to="/articles/$articleId"
      params={{ articleId: String(id) }}
      search={search}
      className="flex min-h-15 items-center gap-3 px-4 py-2 -outline-offset-2 hover:bg-raised"
      activeProps={{ className: 'bg-accent-soft hover:bg-accent-soft' }}
    >
      <span className="min-w-0 flex-1">
        <span className="flex items-center gap-2">
          <span className="truncate font-medium">{title}</span>
          {labels.slice(0, 3).map((label) => (
            <Badge key={label}>{label}</Badge>
          ))}
        </span>
        <span className="block truncate text-sm text-muted">
          {source ?? 'typed in'} · {format}
        </span>
      </span>
      <Time at={updated} className="text-sm text-muted" />
    </Link>
  )
}
