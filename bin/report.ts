import { show, type Call, type End } from './command.ts'
import { bytes, count, duration, percent, printable } from './figures.ts'
import { table } from './table.ts'

interface Window {
  readonly span: number
  readonly lookups: number
  readonly hitRate: number
  readonly staleRate: number
  readonly errorRate: number
  readonly answers: Readonly<Record<'p50' | 'p95' | 'p99', number | null>>
  readonly loadTimes: Readonly<Record<'p50' | 'p95' | 'p99', number | null>>
  readonly timeSaved: number
}

interface Group { readonly kind: string, readonly name: string, readonly lookups: number, readonly hitRate: number, readonly loads: number, readonly loadTime: number | null, readonly timeSaved: number }

interface Report {
  readonly performanceMetrics: {
    readonly lastMinute: Window
    readonly lastFiveMinutes: Window
    readonly lastHour: Window
    readonly groups: readonly Group[]
    readonly observed: ReadonlyArray<{ readonly route: string, readonly lookups: number, readonly hitRate: number, readonly timeSaved: number, readonly entries: number | null, readonly bytes: number | null, readonly compared: number, readonly results: Readonly<Record<'outdated' | 'wrong-key' | 'different', number>> }>
    readonly hottest: ReadonlyArray<{ readonly key: string, readonly share: number }>
  }
  readonly alerts: ReadonlyArray<{ readonly message: string }>
  readonly recommendations: ReadonlyArray<{ readonly message: string }>
  readonly findings: ReadonlyArray<{ readonly message: string, readonly cure: string }>
}

/** `report`: what happens, what is wrong, what would make it better. */
export async function report (call: Call): Promise<End> {
  return show(call, await call.client.ask<Report>('GET', '/report'), ({ performanceMetrics: { lastMinute, lastFiveMinutes, lastHour, observed }, alerts, recommendations, findings }) => [
    ...table(['last', 'lookups', 'hit rate', 'stale', 'errors', 'answer p50', 'p99', 'load p50', 'p99', 'time saved'], [lastMinute, lastFiveMinutes, lastHour].map((window) => [
      duration(window.span), count(window.lookups), percent(window.hitRate), percent(window.staleRate), percent(window.errorRate),
      duration(window.answers.p50), duration(window.answers.p99), duration(window.loadTimes.p50), duration(window.loadTimes.p99), duration(window.timeSaved)
    ])),
    ...observed.length === 0
      ? []
      : ['', ...table(['observed or verified', 'lookups', 'would-be hit rate', 'would save', 'entries', 'memory', 'compared', 'outdated', 'wrong key'], observed.map(({ route, lookups, hitRate, timeSaved, entries, bytes: size, compared, results }) => [
          route, count(lookups), percent(hitRate), duration(timeSaved), entries === null ? '–' : count(entries), bytes(size), count(compared), count(results.outdated + results.different), count(results['wrong-key'])
        ]))],
    ...list('Alerts', alerts),
    ...list('Recommendations', recommendations),
    ...list('Findings', findings.map(({ message, cure }) => ({ message: `${message}; ${cure}` })))
  ])
}

/** `top`: what is asked for most. */
export async function top (call: Call): Promise<End> {
  return show(call, await call.client.ask<Report>('GET', '/report'), ({ performanceMetrics: { hottest, groups } }) => {
    const keys = table(['hottest key', 'share'], hottest.map(({ key, share }) => [key, percent(share)]))
    const busiest = table(['route or namespace', 'lookups', 'hit rate', 'loads', 'mean load', 'time saved'], groups.map((group) => [
      group.name === '' ? `(${group.kind === 'namespace' ? 'data' : group.kind})` : group.name, count(group.lookups), percent(group.hitRate), count(group.loads), duration(group.loadTime), duration(group.timeSaved)
    ]))
    if (keys.length + busiest.length === 0) return ['Nothing was asked for in the last hour']
    return keys.length > 0 && busiest.length > 0 ? [...keys, '', ...busiest] : [...keys, ...busiest]
  })
}

function list (title: string, items: ReadonlyArray<{ readonly message: string }>): string[] {
  return ['', items.length === 0 ? `${title}: none` : title, ...items.map(({ message }) => `  ${printable(message)}`)]
}
