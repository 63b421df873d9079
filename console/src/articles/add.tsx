import { useMutation, useQueryClient } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'

import type { Article, SavedArticle } from '../api/articles.ts'
import { api } from '../api/client.ts'
import { Button } from '../parts/button.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { Field, Input, inputClass, Select } from '../parts/field.tsx'
import { say } from '../parts/toast.tsx'

const route = getRouteApi('/shell/articles')

const post = (body: unknown) => api<SavedArticle>('/api/articles', { method: 'POST', body })

type Failure = { name: string; why: string }

/** Files, or what is typed in. One bad file keeps none of the others out. */
export function Add({ onClose }: { onClose: () => void }) {
  const client = useQueryClient()
  const navigate = route.useNavigate()
  const [files, setFiles] = useState<File[]>([])
  const [labels, setLabels] = useState('')
  const [typed, setTyped] = useState<{ title: string; format: Article['format']; body: string }>({
    title: '',
    format: 'markdown',
    body: '',
  })
  const [failures, setFailures] = useState<Failure[]>([])
  const add = useMutation({
    mutationFn: async () => {
      const common = { labels: labels.split(',').flatMap((label) => label.trim() || []) }
      const made: SavedArticle[] = []
      const failed: Failure[] = []
      const { title, format, body } = typed
      if (body.trim() !== '') made.push(await post({ ...common, format, body, ...(title.trim() && { title }) }))
      for (const file of files) {
        try {
          made.push(await post({ ...common, source: file.name, body: await file.text() }))
        } catch (error) {
          failed.push({ name: file.name, why: error instanceof Error ? error.message : String(error) })
        }
      }
      return { made, failed }
    },
    onSuccess: ({ made, failed }) => {
      void client.invalidateQueries({ queryKey: ['articles'] })
      if (made.length > 0) say({ text: told(made) })
      if (failed.length > 0) {
        setFailures(failed)
        setFiles([])
        return setTyped({ ...typed, title: '', body: '' })
      }
      onClose()
      const [only] = made
      if (made.length === 1 && only)
        void navigate({ to: '/articles/$articleId', params: { articleId: String(only.id) } })
    },
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    setFailures([])
    add.mutate()
  }
  const isEmpty = files.length === 0 && typed.body.trim() === ''
  return (
    <Dialog title="Add articles" open onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-4">
        <Field label="Files" hint="Markdown, HTML or text. A file of the same name replaces what it was.">
          {(wired) => (
            <input
              {...wired}
              type="file"
              multiple
              accept=".md,.markdown,.html,.htm,.txt"
              onChange={({ target }) => setFiles([...(target.files ?? [])])}
              className="w-full min-w-0 text-sm file:mr-3 file:h-8 file:rounded-md file:border file:border-solid file:border-line file:bg-pane file:px-3 file:text-ink"
            />
          )}
        </Field>
        <Field label="Or a text">
          {(wired) => (
            <textarea
              {...wired}
              rows={7}
              value={typed.body}
              onChange={({ target }) => setTyped({ ...typed, body: target.value })}
              className={`${inputClass} h-auto! py-2 font-mono`}
            />
          )}
        </Field>
        <div className="grid gap-4 sm:grid-cols-[1fr_8rem]">
          <Field label="Title of the text" hint="Its first heading unless given">
            {(wired) => (
              <Input
                {...wired}
                maxLength={500}
                value={typed.title}
                onChange={({ target }) => setTyped({ ...typed, title: target.value })}
              />
            )}
          </Field>
          <Field label="Format">
            {(wired) => (
              <Select
                {...wired}
                value={typed.format}
                onChange={({ target }) => setTyped({ ...typed, format: target.value as Article['format'] })}
              >
                <option value="markdown">Markdown</option>
                <option value="html">HTML</option>
                <option value="text">Text</option>
              </Select>
            )}
          </Field>
        </div>
        <Field label="Labels" hint="With commas between">
          {(wired) => <Input {...wired} value={labels} onChange={({ target }) => setLabels(target.value)} />}
        </Field>
        {(add.isError || failures.length > 0) && (
          <ul role="alert" className="text-sm text-bad wrap-anywhere">
            {add.isError && <li>{add.error.message}</li>}
            {failures.map(({ name, why }) => (
              <li key={name}>
                {name}: {why}
              </li>
            ))}
          </ul>
        )}
        <Button type="submit" look="main" className="self-end" disabled={add.isPending || isEmpty}>
          {add.isPending ? 'Adding…' : 'Add'}
        </Button>
      </form>
    </Dialog>
  )
}

function told(made: readonly SavedArticle[]): string {
  const [only] = made
  if (made.length === 1 && only)
    return only.outcome === 'unchanged' ? `${only.title} is as it was` : `${only.title} was added`
  const same = made.filter(({ outcome }) => outcome === 'unchanged').length
  return `${made.length - same} articles were added${same > 0 ? `, ${same} were as before` : ''}`
}
