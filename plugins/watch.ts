import type { FastifyInstance } from 'fastify'
import type { CacheManager } from '../lib/cache-manager.ts'
import { CacheMonitor, TOLD_IN_VAIN } from '../lib/engine/monitor/cache-monitor.ts'
import { resolveMonitorOptions, type MonitorOptions } from '../lib/engine/monitor/options.ts'
import { errors, shown } from '../lib/errors.ts'
import type { CacheListener } from '../lib/events.ts'

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
  const complain: CacheListener<'fault'> = ({ where, error }) => {
    if (TOLD_IN_VAIN.has(where)) app.log.warn({ err: error }, `cache: nobody may have heard of an alert, the ${where} has failed`)
  }
  manager.on('fault', complain)
  app.addHook('onClose', async () => { manager.off('fault', complain) })
  return monitor.startMonitoring()
}
