import { expect, test } from 'tstyche'
import { cached, cacheInvalidate } from 'fastify-response-cache'

interface Product { readonly id: number }
const find = async (id: string): Promise<Product | undefined> => ({ id: Number(id) })

test('a wrapped function keeps its types and answers a promise', () => {
  expect(cached()(find)).type.toBe<(id: string) => Promise<Product | undefined>>()
  expect(cached({ key: 'n:{0}' })((n: number) => n * 2)).type.toBe<(n: number) => Promise<number>>()
  expect(cacheInvalidate({ keys: ['a'] })((n: number) => n * 2)).type.toBe<(n: number) => Promise<number>>()
})

test('the options fit the function', () => {
  expect(cached({ key: (id: string) => id })).type.toBeCallableWith(find)
  expect(cached({ key: (id: number) => `${id}` })).type.not.toBeCallableWith(find)
  expect(cached({ key: (id: string, page: number) => `${id}${page}` })).type.not.toBeCallableWith(find)
  expect(cached({ tags: (product: Product) => [`${product.id}`] })).type.toBeCallableWith(find)
  expect(cached({ tags: (product: { missing: string }) => [product.missing] })).type.not.toBeCallableWith(find)
  expect(cached).type.not.toBeCallableWith({ ttl: '5 minutes' })
  expect(cacheInvalidate({ keys: (product: Product | undefined, id: string) => [`${product?.id}${id}`] })).type.toBeCallableWith(find)
  expect(cacheInvalidate({ keys: (product: Product | undefined, id: number) => [`${product?.id}${id}`] })).type.not.toBeCallableWith(find)
})

test('a template asks for arguments that can stand in a name', () => {
  expect(cached({ key: 'product:{0}' })).type.toBeCallableWith(find)
  expect(cached({ key: 'product:{1}' })).type.not.toBeCallableWith(find)
  expect(cached({ key: 'product:{0}' })).type.not.toBeCallableWith(async (filter: { page: number }) => filter)
  expect(cached({ key: 'product:{0.page}' })).type.toBeCallableWith(async (filter: { page: number }) => filter)
})

test('a decorated method answers a promise', () => {
  class Service {
    @cached({ ttl: 60 })
    async product (id: string): Promise<Product | undefined> { return await find(id) }

    @cacheInvalidate({ keys: ['product:*'] })
    async update (id: string): Promise<boolean> { return id !== '' }
  }
  expect(new Service().product('1')).type.toBe<Promise<Product | undefined>>()
  expect(new Service().update('1')).type.toBe<Promise<boolean>>()
})
