'use strict'

// Lets a runner of attack cases play against this plugin: `node <runner> ./test/support/attack-adapter.cjs`, after
// `npm run build`. It is told an app without routes and the case; the runner adds the routes.

/** Options of other caches. This one has no use for them: what they are meant to switch off does not exist here. */
const FOREIGN = ['ignoreQuery', 'staticExtensions', 'defaultTtl', 'maxVariants']

module.exports = async function adapter (app, { setup }) {
  const { default: cache } = await import('fastify-response-cache')
  app.addHook('onRoute', ({ config }) => {
    for (const name of FOREIGN) delete config?.cache?.[name]
  })
  const { maxVariants } = setup.options ?? {}
  await app.register(cache, { metrics: false, exposeStats: false, ...maxVariants !== undefined && { maxVariants } })

  let keyBytes = 0
  let variants = 0
  app.cache.on('store', ({ key }) => { keyBytes = Math.max(keyBytes, key.length) })
  const count = async () => {
    variants = 0
    for await (const { kind, key } of app.cache.entries()) if (kind === 'response' && key.includes('#')) variants++
  }
  app.addHook('onResponse', count)
  app.cacheApi = {
    invalidate: async ({ url, path = url, ...purge }) => await app.cache.invalidate(path === undefined ? purge : { paths: [path.split('?')[0]] }),
    stats: () => {
      const { entries, bytes, ...rest } = app.cache.getStats()
      return { ...rest, stored: entries, l1Bytes: bytes, keyBytes, variants }
    }
  }
}
