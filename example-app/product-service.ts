import { cached, cacheInvalidate, StaticDataCache } from 'fastify-response-cache'
import type { CacheManager, CacheWarmingService, WarmingJob } from 'fastify-response-cache'
import type { ProductDatabase } from './database.ts'
import { concernsLists } from './product.ts'
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

const lifetime = { ttl: 300, staleWhileRevalidate: 30 }
const favourites = 100
const searchLimit = 20
const excerptLength = 90

/**
 * What the API knows of products. Reads go through the cache, so that a product is loaded once for its page, its
 * description and every list; and because the cache sees what a response was built from, purging `product:42` takes
 * each of them. What a change makes untrue stands above the method that makes it, whoever calls it.
 */
export class ProductService {
  /** Where the decorators find the cache. */
  readonly cache: CacheManager
  readonly #database: ProductDatabase
  readonly #statics: StaticDataCache

  constructor (database: ProductDatabase, cache: CacheManager) {
    this.cache = cache
    this.#database = database
    // Asked for with every page, changed once in a while: fetched anew every ten minutes, and when `catalog` is purged.
    this.#statics = new StaticDataCache(cache).addSource('categories', () => database.categories(), { tags: ['catalog'], refreshEvery: 600 })
  }

  /** A product that does not exist is `undefined`, which the cache hands on and does not store. */
  @cached({ key: 'product:{id}', ...lifetime, tags: ['product:{id}'] })
  async product (id: number): Promise<Product | undefined> {
    return this.#database.find(id)
  }

  /** The database says which products stand on the page; those that the cache does not have are loaded in one go. */
  async page (query: ProductQuery): Promise<ProductPage> {
    const { ids, total } = this.#database.page(query)
    const products = await this.cache.getOrSetMany(
      ids.map(keyOf),
      (missing) => new Map(this.#database.findMany(missing.map(idOf)).map((product) => [keyOf(product.id), product])),
      { ...lifetime, tags: tagsOf })
    return { items: products.filter((product) => product !== undefined), page: query.page, pageSize: query.pageSize, total }
  }

  async categories (): Promise<readonly Category[]> {
    return await this.#statics.getStaticData<readonly Category[]>('categories') ?? []
  }

  /** One query that reads no product through the cache: the route names the products of its answer instead. */
  search (q: string): SearchResult {
    return { items: this.#database.search(q, searchLimit).map((product) => ({ id: product.id, title: product.title, price: product.price, excerpt: excerptOf(product.description, q) })) }
  }

  /** A new product is in no list yet, so no list can tell that it belongs there: all of them carry the tag `catalog`. */
  @cacheInvalidate({ tags: ['catalog'] })
  async create (product: NewProduct): Promise<Product> {
    return this.#database.insert(product)
  }

  @cacheInvalidate({ keys: ['product:{id}'], tags: (_product: unknown, _id: number, changes: ProductChanges) => concernsLists(changes) ? ['catalog'] : [] })
  async update (id: number, changes: ProductChanges): Promise<Product | undefined> {
    return this.#database.update(id, changes)
  }

  @cacheInvalidate({ keys: ['product:{id}'], tags: ['catalog'] })
  async delete (id: number): Promise<boolean> {
    return this.#database.delete(id)
  }

  /** Loads the best rated products before anybody asks: most lists are made of them. */
  warm (warming: CacheWarmingService): WarmingJob {
    const best = (): Array<[id: number, product: Product]> => this.#database.best(favourites).map((product) => [product.id, product])
    return warming.startWarmCache(best, 'product', { ...lifetime, tags: tagsOf })
  }

  async close (): Promise<void> {
    await this.#statics.close()
  }
}

const keyOf = (id: number): string => `product:${id}`
const tagsOf = ({ id }: Product): string[] => [keyOf(id)]
const idOf = (key: string): number => Number(key.slice('product:'.length))

function excerptOf (text: string, q: string): string {
  const found = Math.max(0, text.toLowerCase().indexOf(q.toLowerCase()))
  const start = Math.max(0, Math.min(found - 20, text.length - excerptLength))
  return `${start > 0 ? '…' : ''}${text.slice(start, start + excerptLength)}${start + excerptLength < text.length ? '…' : ''}`
}
