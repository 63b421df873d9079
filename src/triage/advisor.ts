import { randomBytes } from 'node:crypto'

import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import {
  APICallError,
  extractJsonMiddleware,
  generateText,
  type LanguageModel,
  NoObjectGeneratedError,
  NoOutputGeneratedError,
  Output,
  RetryError,
  wrapLanguageModel,
} from 'ai'
import { createOllama } from 'ollama-ai-provider-v2'

import { type Advice, type AdviceRequest, adviceFrom, Answer, promptOf } from './advice.ts'
import { createLimits } from './advisor-limits.ts'

/** Which language model, and what it may cost. */
export type AdvisorConfig = {
  kind: 'anthropic' | 'openai' | 'ollama'
  /** Up to what comes before `/messages`, `/chat/completions` or `/api/chat`. The maker's own unless given. */
  url?: string | null
  model: string
  key?: string | null
  /** How long one piece of advice may take, with all retries. */
  timeoutMs?: number
  requestsPerDay?: number | null
  tokensPerDay?: number | null
}

/** Advice, or the reason why there is none: a sentence for the ticket's record, without key or text of anybody. */
export type AdviceResult =
  | { advice: Advice; model: string; tokens: number; took_ms: number }
  | { advice: null; model: string; reason: string; took_ms: number }

export type Advisor = {
  /** Of the model, such as `openai:gpt-5-mini`. */
  id: string
  /** Never rejects: any failure is a reason. */
  advise: (request: AdviceRequest, signal: AbortSignal) => Promise<AdviceResult>
  used: () => { requests: number; tokens: number; isPaused: boolean }
}

const TIMEOUT_MS = 30_000
const RETRIES = 2
const OUTPUT_TOKENS = 1500
const ANSWER_LIMIT = 4 * 1024 * 1024
const PRESETS = {
  anthropic: 'https://api.anthropic.com/v1',
  openai: 'https://api.openai.com/v1',
  ollama: 'http://127.0.0.1:11434',
} as const satisfies Record<AdvisorConfig['kind'], string>

// Warnings of the SDK go to the console, which is not ours to write to.
Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false })

/** A language model as an advisor beside the local engine. It is given no tools, so nothing it reads can act. */
export function createAdvisor(config: AdvisorConfig, now: () => number = Date.now): Advisor {
  const { timeoutMs = TIMEOUT_MS, requestsPerDay = null, tokensPerDay = null } = config
  const model = modelOf(config)
  const limits = createLimits({ requests: requestsPerDay, tokens: tokensPerDay }, now)
  const id = `${config.kind}:${config.model}`

  async function ask(request: AdviceRequest, signal: AbortSignal): Promise<{ advice: Advice; tokens: number }> {
    const { system, prompt } = promptOf(request, randomBytes(12).toString('hex'))
    const { output, usage } = await generateText({
      model,
      instructions: system,
      prompt,
      output: Output.object({ schema: Answer }),
      maxRetries: RETRIES,
      maxOutputTokens: OUTPUT_TOKENS,
      abortSignal: signal,
    })
    return { advice: adviceFrom(output, request), tokens: usage.totalTokens ?? 0 }
  }

  return {
    id,
    async advise(request, signal) {
      const started = performance.now()
      const none = (reason: string): AdviceResult => ({
        advice: null,
        model: id,
        reason: `No advice of ${id}: ${reason}`,
        took_ms: performance.now() - started,
      })
      const refusal = limits.take()
      if (refusal !== null) return none(refusal)
      const limit = AbortSignal.timeout(timeoutMs)
      try {
        const { advice, tokens } = await ask(request, AbortSignal.any([signal, limit]))
        limits.succeeded(tokens)
        return { advice, model: id, tokens, took_ms: performance.now() - started }
      } catch (error) {
        // Who stopped asking says nothing about the model.
        if (signal.aborted && !limit.aborted) return none('it was no longer wanted')
        limits.failed(NoObjectGeneratedError.isInstance(error) ? (error.usage?.totalTokens ?? 0) : 0)
        return none(limit.aborted ? `it took more than ${timeoutMs / 1000} s` : reasonOf(error))
      }
    },
    used: limits.used,
  }
}

function modelOf({ kind, url, model, key }: AdvisorConfig): LanguageModel {
  const base = (url ?? PRESETS[kind]).replace(/\/$/, '')
  const settings = { fetch: boundedFetch, ...(key ? { apiKey: key } : {}) }
  const middleware = extractJsonMiddleware()
  if (kind === 'anthropic') {
    // Without one of ours the SDK would look for one in the environment, which is the configuration's to read.
    const anthropic = createAnthropic({ ...settings, baseURL: base, apiKey: key ?? '' })
    return wrapLanguageModel({ model: anthropic(model), middleware })
  }
  if (kind === 'ollama') {
    const headers = key ? { authorization: `Bearer ${key}` } : {}
    const ollama = createOllama({ baseURL: `${base.replace(/\/api$/, '')}/api`, headers, fetch: boundedFetch })
    return wrapLanguageModel({ model: ollama(model), middleware })
  }
  const openai = createOpenAICompatible({
    ...settings,
    name: 'openai',
    baseURL: base,
    supportsStructuredOutputs: true,
  })
  return wrapLanguageModel({ model: openai(model), middleware })
}

/** Follows no redirect, which would take the key elsewhere, and reads no more than an answer can be. */
const boundedFetch: typeof fetch = async (input, init) => {
  const response = await fetch(input, { ...init, redirect: 'error' })
  if (response.body === null) return response
  let size = 0
  const bounded = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      size += chunk.length
      if (size > ANSWER_LIMIT) controller.error(new Error('the answer is too large'))
      else controller.enqueue(chunk)
    },
  })
  return new Response(response.body.pipeThrough(bounded), response)
}

function reasonOf(error: unknown): string {
  if (RetryError.isInstance(error)) return reasonOf(error.lastError)
  if (NoObjectGeneratedError.isInstance(error) || NoOutputGeneratedError.isInstance(error))
    return 'it did not answer with the JSON it was asked for'
  if (APICallError.isInstance(error)) {
    const { statusCode } = error
    if (statusCode === undefined) return 'its server cannot be reached'
    return statusCode >= 400 ? `its server answered ${statusCode}` : 'its server broke off or answered no JSON'
  }
  return 'its server cannot be reached or broke off'
}
