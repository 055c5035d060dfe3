import type { FastifyInstance } from 'fastify'
import type { CacheManager } from '../lib/cache-manager.ts'
import { CacheMonitor } from '../lib/engine/monitor/cache-monitor.ts'
import { resolveMonitorOptions, type MonitorOptions } from '../lib/engine/monitor/options.ts'
import { errors, shown } from '../lib/errors.ts'

/** @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN */
export function checkMonitor (given: unknown): MonitorOptions | false {
  if (given === false) return false
  if (given === undefined || given === true) return {}
  if (typeof given !== 'object' || given === null) throw new errors.FST_ERR_CACHE_OPTION('monitor', shown(given), 'true, false or an object')
  resolveMonitorOptions(given)
  return given
}

/** Watches the cache of an app, as `app.<name>Monitor`, and writes a line when an alert is raised and when it is cleared. */
export function beginWatch (app: FastifyInstance, manager: CacheManager, { name, monitor: options }: { name: string, monitor: MonitorOptions | false }): CacheMonitor | undefined {
  if (options === false) return undefined
  const monitor = new CacheMonitor(manager, {
    ...options,
    onAlert (alert) {
      if (alert.state === 'raised') app.log.warn({ alert }, `cache: ${alert.message}`)
      else app.log.info({ alert }, `cache: ${alert.message}`)
      options.onAlert?.(alert)
    }
  })
  app.decorate(`${name}Monitor`, monitor)
  return monitor.startMonitoring()
}
