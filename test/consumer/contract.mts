// The published suite of stores, as a strict project runs it with node:test. Compiled and run against the packed package
// by scripts/test-package.mjs.
import assert from 'node:assert/strict'
import test from 'node:test'
import Fastify from 'fastify'
import cache, { createLocalLog, MemoryCache, type StoreFactory, type TierUsage } from 'fastify-response-cache'
import { storeContract, type StoreDeps, type StoreUnderTest } from 'fastify-response-cache/store-contract'

class OwnCache extends MemoryCache {
  override usage (): readonly [TierUsage] {
    const [usage] = super.usage()
    return [{ ...usage, tier: 'own' }]
  }
}

storeContract(test, 'OwnCache', ({ clock, maxEntryBytes }: StoreDeps): StoreUnderTest => {
  const log = createLocalLog({ clock })
  return { log, store: new OwnCache({ log, clock, maxEntryBytes }) }
})

test('the plugin takes it', async () => {
  const store: StoreFactory = (parts) => new OwnCache(parts)
  const app = Fastify()
  await app.register(cache, { store })
  app.get('/', { config: { cache: { ttl: 60 } } }, async () => ({ hello: 'world' }))
  await app.inject('/')
  assert.match(String((await app.inject('/')).headers['cache-status']), /;hit/)
  assert.match((await app.inject('/cache/stats')).body, /"tier":"own"/)
  await app.close()
})
