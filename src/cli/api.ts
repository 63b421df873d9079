import { readConfig } from '../config.ts'
import { AppError, fail } from '../core/errors.ts'
import { isObject } from '../core/json.ts'
import { type Answer, baseOf, createCall, type OnLine, Unreachable } from './check-call.ts'

export type ServerOptions = { url: string; key?: string; timeout: number }

/** The API of a running server. What is not 2xx is thrown as what the server says of it. */
export function createApi({ url, key, timeout }: ServerOptions) {
  const base = baseOf(url) ?? fail('malformed', `${url} is no address; give one like http://127.0.0.1:8000`)
  const call = createCall(base, timeout, key ?? readConfig().adminKey ?? undefined)

  async function ask(...request: Parameters<typeof call>): Promise<Answer> {
    try {
      const answer = await call(...request)
      const { status, json } = answer
      if (status >= 200 && status < 300) return answer
      const said = isObject(json) ? json : {}
      const hint = status === 401 ? '; give one with --key, or set TICKETFLOW_ADMIN_KEY' : ''
      throw new AppError('malformed', `${String(said['detail'] ?? `The server answered ${status}`)}${hint}`)
    } catch (error) {
      if (error instanceof Unreachable) throw new AppError('unavailable', error.message)
      throw error
    }
  }

  async function send(path: string, request: Parameters<typeof call>[2]): Promise<Record<string, unknown>> {
    const { json } = await ask('POST', path, request)
    return isObject(json) ? json : {}
  }

  return {
    base,
    text: async (path: string) => (await ask('GET', path)).text,
    json: async (path: string) => (await ask('GET', path)).json,
    remove: async (path: string) => void (await ask('DELETE', path)),
    post: (path: string, body: unknown) => send(path, { body }),

    /** For what takes long: the server tells meanwhile how far it is. */
    follow: async (path: string, body: unknown, onProgress: (done: number, total: number) => void) => {
      let last: Record<string, unknown> = {}
      const onLine: OnLine = (line) => {
        if (!isObject(line)) return
        const progress = line['progress']
        if (isObject(progress)) onProgress(Number(progress['done']), Number(progress['total']))
        else last = line
      }
      const whole = await send(path, { body, headers: { accept: 'application/x-ndjson' }, onLine })
      if (isObject(last['error'])) throw new AppError('malformed', String(last['error']['detail']))
      return isObject(last['result']) ? last['result'] : whole
    },
  }
}
