// What a strict CommonJS project writes. Compiled and run against the packed package by scripts/test-package.mjs.
import assert = require('node:assert/strict')
import Fastify = require('fastify')
import cache = require('fastify-response-cache')
import contract = require('fastify-response-cache/store-contract')

async function main (): Promise<void> {
  const app = Fastify()
  await app.register(cache.default, { strategy: cache.CacheStrategy.MEMORY })
  app.get('/', { config: { cache: { ttl: 60 } } }, async () => ({ hello: 'world' }))
  assert.equal((await app.inject('/')).statusCode, 200)
  assert.match(String((await app.inject('/')).headers['cache-status']), /;hit/)
  assert.equal(app.cache.getStats().errors, 0)
  assert.equal(typeof contract.storeContract, 'function')
  await app.close()
  console.log('consumer cjs: ok')
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
