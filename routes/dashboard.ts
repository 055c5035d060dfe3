import type { FastifyInstance, onRequestHookHandler } from 'fastify'
import { readDashboardPage, type DashboardPage } from './dashboard-page.ts'
import { routeShape } from './route-shape.ts'

export interface DashboardRouteOptions {
  readonly prefix: string
  /** The app's own guard. A browser shows no bearer token when it is sent to a page, so the token guards the data only. */
  readonly guard: readonly onRequestHookHandler[]
}

/** `GET <prefix>/dashboard`: a page without data, which asks for the token and fetches the report with it. */
export function dashboardRoute (app: FastifyInstance, { prefix, guard }: DashboardRouteOptions): void {
  const schema = { produces: ['text/html'], response: { 200: { description: 'A page; it holds no data.', type: 'string' } } }
  let page: Promise<DashboardPage> | undefined
  app.get(`${prefix}/dashboard`, routeShape('The cache on one page', schema, guard), async (_request, reply) => {
    // Read when it is first asked for, so that nobody else pays for it.
    const { html, policy } = await (page ??= readDashboardPage())
    reply.header('content-security-policy', policy)
    reply.header('x-content-type-options', 'nosniff')
    reply.header('referrer-policy', 'no-referrer')
    reply.header('x-frame-options', 'DENY')
    return await reply.type('text/html; charset=utf-8').send(html)
  })
}
