import type { CacheManager } from 'fastify-response-cache'
import type { ProductDatabase } from './database.ts'
import type { Category, NewProduct, Product, ProductChanges, ProductQuery } from './product.ts'

export interface ProductPage {
  readonly items: readonly Product[]
  readonly page: number
  readonly pageSize: number
  readonly total: number
}

export interface SearchResult {
  readonly items: ReadonlyArray<{ readonly id: number, readonly title: string, readonly price: number, readonly excerpt: string }>
}

const searchLimit = 20
const excerptLength = 90

/**
 * What the API knows of products. Reads go through the cache, so that a product is loaded once for its page, its
 * description and every list; and because the cache sees what a response was built from, purging the tag
 * `product:42` takes each of them.
 */
export class ProductService {
  readonly #database: ProductDatabase
  readonly #cache: CacheManager

  constructor (database: ProductDatabase, cache: CacheManager) {
    this.#database = database
    this.#cache = cache
  }

  /** A product that does not exist is `undefined`, which the cache hands on and does not store. */
  async product (id: number): Promise<Product | undefined> {
    return await this.#cache.getOrSet(keyOf(id), () => this.#database.find(id), { ttl: 300, staleWhileRevalidate: 30, tags: [keyOf(id)] })
  }

  /** The database says which products stand on the page; those that the cache does not have are loaded in one go. */
  async page (query: ProductQuery): Promise<ProductPage> {
    const { ids, total } = this.#database.page(query)
    const products = await this.#cache.getOrSetMany(
      ids.map(keyOf),
      (missing) => new Map(this.#database.findMany(missing.map(idOf)).map((product) => [keyOf(product.id), product])),
      { ttl: 300, staleWhileRevalidate: 30, tags: (product: Product) => [keyOf(product.id)] })
    return { items: products.filter((product) => product !== undefined), page: query.page, pageSize: query.pageSize, total }
  }

  async categories (): Promise<readonly Category[]> {
    return await this.#cache.getOrSet('categories', () => this.#database.categories(), { ttl: 3600, tags: ['catalog'] })
  }

  /** One query that reads no product through the cache: the route names the products of its answer instead. */
  search (q: string): SearchResult {
    return { items: this.#database.search(q, searchLimit).map((product) => ({ id: product.id, title: product.title, price: product.price, excerpt: excerptOf(product.description, q) })) }
  }

  create (product: NewProduct): Product {
    return this.#database.insert(product)
  }

  update (id: number, changes: ProductChanges): Product | undefined {
    return this.#database.update(id, changes)
  }

  delete (id: number): boolean {
    return this.#database.delete(id)
  }
}

const keyOf = (id: number): string => `product:${id}`
const idOf = (key: string): number => Number(key.slice('product:'.length))

function excerptOf (text: string, q: string): string {
  const found = Math.max(0, text.toLowerCase().indexOf(q.toLowerCase()))
  const start = Math.max(0, Math.min(found - 20, text.length - excerptLength))
  return `${start > 0 ? '…' : ''}${text.slice(start, start + excerptLength)}${start + excerptLength < text.length ? '…' : ''}`
}
