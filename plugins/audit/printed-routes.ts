import type { FastifyInstance } from 'fastify'

/** A `GET` route as Fastify prints it, and the names of the hooks in front of its handler. */
export interface PrintedRoute { readonly url: string, readonly hooks: readonly string[] }

/** Phases between the lookup of a public route and its handler. */
const PASSED_BY = /^• \((?:preParsing|preValidation|preHandler)\) (\[.*\])$/

/**
 * Which `GET` routes there are, and which hooks each has, wherever those were added: Fastify tells this nowhere but in the
 * tree that it prints, from `ready` on. Routes with a wildcard are left out: they are printed without their beginning.
 */
export function printedRoutes (app: FastifyInstance): PrintedRoute[] {
  const routes: Array<{ url: string, hooks: string[] }> = []
  const parents: string[] = []
  for (const line of app.printRoutes({ method: 'GET', includeHooks: true, commonPrefix: false }).split('\n')) {
    const text = line.replace(/^[│├└─ ]*/, '')
    const hooks = PASSED_BY.exec(text)?.[1]
    if (hooks !== undefined) routes.at(-1)?.hooks.push(...(JSON.parse(hooks) as string[]))
    const [, part, isRoute] = /^([^\s•]+)( \(GET\))?/.exec(text) ?? []
    if (part === undefined) continue
    const depth = (line.length - text.length) / 4
    const url = (parents[depth - 1] ?? '') + part
    parents[depth] = url
    if (isRoute !== undefined && !url.includes('*')) routes.push({ url, hooks: [] })
  }
  return routes
}

/** One spelling for all that a router may take for the same. */
export function routerForm (url: string): string {
  return url.toLowerCase().replace(/:\w+/g, ':').replace(/(?<=.)\/$/, '')
}
