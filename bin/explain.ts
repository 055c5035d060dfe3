import { show, type Call, type End } from './command.ts'
import { pairs } from './table.ts'

interface Explanation {
  readonly url: string
  readonly verdict: string
  readonly reason: string
  readonly why: string
  readonly route?: string
  readonly policy?: string
  readonly key?: string
  readonly inputs?: Readonly<Record<string, string | null>>
  readonly entry?: { readonly freshUntilMs: number, readonly tags: readonly string[], readonly builtFrom: readonly string[] }
}

/** `explain`: what would become of a request, and why. */
export async function explain (call: Call): Promise<End> {
  const [path = ''] = call.words
  return show(call, await call.client.ask<Explanation>('GET', `/explain?url=${encodeURIComponent(path)}`), ({ verdict, reason, why, route, policy, key, inputs, entry }) => pairs([
    ['verdict', reason === verdict ? verdict : `${verdict} (${reason})`],
    ['why', why],
    ['route', route],
    ['policy', policy],
    ['key', key],
    ['made of', inputs && Object.entries(inputs).map(([name, value]) => `${name} ${value ?? '(none)'}`).join(', ')],
    ['fresh until', entry && new Date(entry.freshUntilMs).toISOString()],
    ['tags', entry?.tags.join(' ')],
    ['built from', entry?.builtFrom.join(' ')]
  ]))
}
