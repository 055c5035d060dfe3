'use strict'

/** @param {Metrics} metrics */
const showTiles = ({ lastFiveMinutes: now, timeSaved }) => {
  const tiles = [
    ['hit rate, 5 min', percent(now.lookups > 0 ? now.hitRate : null)],
    ['lookups a second', now.lookupsPerSecond.toFixed(1)],
    ['answer, p95', time(now.answers.p95)],
    ['load, p95', time(now.loadTimes.p95)],
    ['time saved, 1 h', time(timeSaved)],
    ['error rate', percent(now.errorRate)],
    ['evictions a second', now.evictionsPerSecond.toFixed(1)]
  ]
  at('tiles').replaceChildren(...tiles.map(([name = '', value = '']) => element('div', { class: 'tile' }, element('b', {}, value), element('span', { class: 'soft' }, name))))
}

/** @param {Metrics['history']} all */
const showPast = (all) => {
  // From the first minute of which something is known, ten minutes at least.
  const first = all.findIndex(({ lookups }) => lookups > 0)
  const history = all.slice(Math.min(first === -1 ? 50 : first, 50))
  const minutes = history.map(({ atMs }) => atMs / 1000)
  const last = history[history.length - 1]
  const rates = history.map(({ hitRate }) => hitRate)
  drawPast('hit-rate', [minutes, rates], `The hit rate of the last minute is ${percent(last?.hitRate ?? null)}.`,
    { series: [{ ...line('hit rate', '--one', percent), fill: colour('--one-soft') }], write: (value) => `${Math.round(value * 100)} %`, scale: { range: [0, 1] } })
  drawPast('lookups', [minutes, history.map(({ lookups }) => lookups), history.map(({ lookups, hitRate }) => lookups * (hitRate ?? 0))], `${count(last?.lookups ?? 0)} lookups in the last minute.`,
    { series: [bars('lookups', '--two'), bars('of them hits', '--one')], write: whole, scale: { range: fromZero } })
  drawPast('latency', [minutes, history.map(({ answerP95 }) => answerP95), history.map(({ loadP95 }) => loadP95)], `In the last minute answers from the cache took ${time(last?.answerP95 ?? null)}, loads ${time(last?.loadP95 ?? null)}.`,
    { series: [line('answers from the cache', '--one', time), line('loads', '--two', time)], write: time, scale: { distr: 3 }, wide: 60 })
  drawPast('evictions', [minutes, history.map(({ evictions }) => evictions)], `${count(last?.evictions ?? 0)} evictions in the last minute.`,
    { series: [bars('evictions', '--two')], write: whole, scale: { range: fromZero } })
}

/** There is no half of an eviction: an axis may have lines between whole numbers, but says nothing there. @param {number} value */
const whole = (value) => Number.isInteger(value) ? count(value) : ''

/** @type {import('uplot').Range.Function} */
const fromZero = (_chart, _least, most) => [0, Math.max(1, most * 1.1)]

/** @type {Record<'silent' | 'away', string>} */
const tierTrouble = { silent: 'does not answer', away: 'cannot be reached' }

/** @type {Record<Metrics['log']['state'], string>} */
const logWords = {
  current: 'The purges of other instances are known here.',
  behind: 'Purges of other instances are being fetched.',
  alone: 'The shared log of purges cannot be reached.'
}

/** @param {Metrics['log']} log */
const logOf = ({ state, queued }) => element('p', { class: 'soft' }, logWords[state] + (queued === 0 ? '' : ` ${count(queued)} names that were purged here wait for it.`))

/** @param {Metrics['tiers'][number]} tier */
const tierOf = ({ tier, state, utilisation, ...figures }) => element('div', {},
  element('div', {}, tier + (state === 'up' ? '' : ` (${tierTrouble[state]})`) + (utilisation === null ? '' : `: ${count(figures.entries)} of ${count(figures.maxEntries)} entries, ${bytes(figures.bytes)} of ${bytes(figures.maxBytes)}`)),
  ...utilisation === null ? [] : [element('meter', { min: 0, max: 1, value: utilisation, 'aria-label': `How full ${tier} is` })],
  element('p', { class: 'soft' }, `${count(figures.hits)} hits, ${count(figures.misses)} misses, ${count(figures.errors)} errors; left: ${Object.entries(figures.evictions).map(([cause, n]) => `${count(n)} ${cause}`).join(', ')}`))

/** @param {Curve | null} curve */
const showCurve = (curve) => {
  at('curve-box').hidden = curve === null
  if (curve === null) return
  drawCurve(curve)
  at('policies').textContent = curve.policies.map(({ policy, hitRate }) => `${policy}${policy === curve.policy ? ' (yours)' : ''} ${percent(hitRate)}`).join(' · ')
}

/** @param {CacheReport} report */
const showReport = ({ performanceMetrics: metrics, alerts, recommendations, findings }) => {
  showTiles(metrics)
  fillList('alerts', alerts.map(({ message, atMs }) => `${message} (since ${clock(atMs)})`), 'Nothing is wrong.')
  at('alerts-box').className = alerts.length > 0 ? 'alarm' : ''
  fillList('findings', findings.map(({ message, cure }) => `${message}; ${cure}`), 'Nothing to object to.')
  fillList('recommendations', recommendations.map(({ message }) => message), 'Nothing to propose so far.')
  showPast(metrics.history)
  showCurve(metrics.curve)
  at('tiers').replaceChildren(...metrics.tiers.map(tierOf), logOf(metrics.log))
  fillTable('groups', ['route or namespace', 'lookups', 'hit rate', 'stale', 'bypassed', 'loads', 'failed', 'mean load', 'saved'], metrics.groups.slice(0, 50).map((group) => [
    group.kind === 'route' ? group.name : group.name === '' ? 'data' : `data in ${group.name}`,
    count(group.lookups), percent(group.lookups > 0 ? group.hitRate : null), count(group.staleHits), count(group.bypasses), count(group.loads), count(group.loadErrors), time(group.loadTime), time(group.timeSaved)
  ]))
  fillTable('hottest', ['key', 'share of lookups'], metrics.hottest.slice(0, 10).map(({ key, share }) => [key.replace(/^response:/, ''), percent(share)]))
  at('observed-box').hidden = metrics.observed.length === 0
  fillTable('observed', ['route', 'observed', 'would-be hit rate', 'would save', 'entries', 'memory', 'compared', 'outdated', 'wrong key', 'unclear', 'stays the same for', 'ttl that would do'], metrics.observed.map(({ route, lookups, hitRate, timeSaved, entries, bytes: size, compared, results, unchangedFor, suggestedTtl }) => [
    route, count(lookups), percent(lookups > 0 ? hitRate : null), time(timeSaved), entries === null ? '–' : count(entries), size === null ? '–' : bytes(size), count(compared), count(results.outdated + results.different), count(results['wrong-key']), count(results.unrepeatable), time(unchangedFor), suggestedTtl === 0 ? 'none' : time(suggestedTtl)
  ]))
  at('operations-box').hidden = metrics.operations.length === 0
  fillTable('operations', ['operation', 'count', 'failed', 'mean', 'p95'], metrics.operations.map(({ operation, count: n, errorRate, responseTime, p95 }) => [operation, count(n), percent(errorRate), time(responseTime), time(p95)]))
}
