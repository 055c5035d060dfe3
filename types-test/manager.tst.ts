import { expect, test } from 'tstyche'
import { CacheManager } from 'fastify-response-cache'
import type { CacheConfig } from 'fastify-response-cache'

interface Product { readonly id: number, readonly title: string }

const manager = new CacheManager({ strategy: 'memory' })
const load = async (): Promise<Product> => ({ id: 1, title: 'Trowel' })

test('types flow from the loader to the caller', () => {
  expect(manager.getOrSet('product:1', load)).type.toBe<Promise<Product>>()
  expect(manager.getOrSet('product:1', () => 1 as number | null)).type.toBe<Promise<number | null>>()
  expect(manager.get<Product>('product:1')).type.toBe<Promise<Product | undefined>>()
  expect(manager.get('product:1')).type.toBe<Promise<unknown>>()
  expect(manager.getMany<Product>(['product:1'])).type.toBe<Promise<Array<Product | undefined>>>()
  expect(manager.getOrSetMany(['product:1'], async (keys) => new Map(keys.map((key) => [key, { id: 1, title: key }])))).type.toBe<Promise<Array<{ id: number, title: string } | undefined>>>()
})

test('functions of the value know the value', () => {
  expect(manager.getOrSet).type.toBeCallableWith('product:1', load, { ttl: (product: Product) => product.id, tags: (product: Product) => [product.title] })
  expect(manager.getOrSet).type.not.toBeCallableWith('product:1', load, { tags: (product: { missing: string }) => [product.missing] })
})

test('a setting takes only what it can mean', () => {
  expect<CacheConfig['strategy']>().type.toBe<'memory' | 'redis' | 'hybrid'>()
  expect(CacheManager).type.not.toBeConstructableWith({ strategy: 'disk' })
  expect(CacheManager).type.not.toBeConstructableWith({ memoryMaxSize: '10' })
  expect(CacheManager).type.not.toBeConstructableWith({ memoryMaxSiz: 10 })
})

test('a purge names something', () => {
  expect(manager.invalidate).type.toBeCallableWith({ tags: ['catalog'], soft: true })
  expect(manager.invalidate).type.not.toBeCallableWith({ tag: ['catalog'] })
})
