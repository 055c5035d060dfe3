import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { tablesOf } from '../support/markdown.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { listening } from '../support/raw-http.ts'
import { projectRoot } from '../support/source-tree.ts'
import { createCachingProxy } from './caching-proxy.ts'
import { CONFIGURATIONS, type ConfigurationName } from './configurations.ts'
import { LEFT_OUT, leftOutOf } from './left-out.ts'
import { scoreOf, type Outcome } from './outcome.ts'
import { createOrigin, runSuite } from './suite.ts'

const clock = fakeClock()
const origin = createOrigin(clock)
origin.listen(0, '127.0.0.1')
await once(origin, 'listening')
t.teardown(() => { origin.close() })
const originUrl = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`

const names = Object.keys(CONFIGURATIONS) as ConfigurationName[]
const counted = (outcome: Outcome): boolean => outcome.kind !== 'check'

const proxies = await Promise.all(names.map(async (name) => {
  const { plugin, route } = CONFIGURATIONS[name]
  const proxy = await createCachingProxy(originUrl, { ...plugin, clock }, route)
  t.teardown(async () => { await proxy.close() })
  return [name, `http://127.0.0.1:${await listening(proxy)}`] as const
}))
const results = await runSuite(new Map<string, string>(proxies), clock)

t.test('the public suite of shared-cache behaviour is passed, except for what is left out with a reason', async (t) => {
  for (const [name, outcomes] of results) {
    t.ok(outcomes.filter(counted).length > 200, `${name}: the suite has run`)
    const failed = outcomes.filter((outcome) => counted(outcome) && outcome.end !== 'passed')
    const leftOut = leftOutOf(name as ConfigurationName)
    t.same(failed.filter(({ id }) => !leftOut.includes(id)).map(({ id, end, why }) => `${id}: ${end} ${why}`), [], `${name}: nothing else fails`)
    t.same(leftOut.filter((id) => !failed.some((each) => each.id === id)), [], `${name}: nothing is left out that is passed`)
  }
})

t.test('docs/conformance.md tells the scores, and what is left out', async (t) => {
  const tables = new Map(tablesOf(readFileSync(projectRoot + 'docs/conformance.md', 'utf8')).map((table) => [table.name, table.rows]))
  t.same(tables.get('scores'), [...results].map(([name, outcomes]) => ({ configuration: `\`${name}\``, required: scoreOf(outcomes, 'required'), optimal: scoreOf(outcomes, 'optimal') })))
  t.same(tables.get('left out')?.map(({ why }) => why), LEFT_OUT.map(({ why }) => why))
  t.same(tables.get('left out')?.map(({ tests }) => tests), LEFT_OUT.map(({ ids }) => String(ids.length)))
})
