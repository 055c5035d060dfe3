import type { FastifyInstance, RouteOptions } from 'fastify'
import { errors, shown } from '../lib/errors.ts'
import { isOwnRoute } from './route-shape.ts'

export interface Places {
  readonly prefix: string
  /** Where the metrics are shown, if they are. */
  readonly metricsPath: string | undefined
}

/**
 * Adds routes of the cache. If the app has one at the same place, before or after, it is told which option moves ours: Fastify
 * only knows that there are two.
 */
export function addAt (app: FastifyInstance, { prefix, metricsPath }: Places, add: () => void): void {
  const ours = new Set<string>()
  let adding = true
  const placesOf = ({ method, url }: RouteOptions): string[] => [method].flat().map((each) => `${each} ${url}`)
  const refuse = (place: string): never => {
    const [option, value, allowed] = metricsPath !== undefined && place.endsWith(` ${app.prefix}${metricsPath}`) ? ['metrics', metricsPath, 'false, or a path'] : ['prefix', prefix, 'a place']
    throw new errors.FST_ERR_CACHE_OPTION(option, shown(value), `${allowed} where the app has no route; it has ${place}`)
  }
  app.addHook('onRoute', (route) => {
    for (const place of placesOf(route)) {
      if (adding) {
        const [method = '', url = ''] = place.split(' ')
        // Fastify adds HEAD by itself, and only where it is free.
        if (method !== 'HEAD' && app.hasRoute({ method: method as 'GET', url })) refuse(place)
        ours.add(place)
      } else if (ours.has(place) && !isOwnRoute(route.config) && Object.keys(route.constraints ?? {}).length === 0) refuse(place)
    }
  })
  add()
  adding = false
}
