import sqlite from 'node-sqlite3-wasm'
import type { BindValues, QueryResult } from 'node-sqlite3-wasm'
import type { Category, NewProduct, Product, ProductChanges, ProductOrder, ProductQuery } from './product.ts'

const orders: Record<ProductOrder, string> = {
  id: 'id',
  title: 'title, id',
  price: 'price, id',
  '-price': 'price DESC, id',
  '-rating': 'rating DESC, id'
}

const columns = ['title', 'description', 'category', 'brand', 'price', 'stock', 'rating'] as const
const mentions = "instr(lower(title || ' ' || description || ' ' || coalesce(brand, '')), lower(:q)) > 0"

/** How long a writer waits for another process that writes to the same file. */
const busyMs = 2000

/** The products in an SQL database. It knows nothing of the cache. */
export class ProductDatabase {
  readonly #db: sqlite.Database

  /** @param file keeps the products, for several instances; without one the database lives and dies with the process */
  constructor (products: readonly Product[], file = ':memory:') {
    this.#db = new sqlite.Database(file)
    this.#db.exec(`
      PRAGMA busy_timeout = ${busyMs};
      CREATE TABLE IF NOT EXISTS product (
        id INTEGER PRIMARY KEY, title TEXT NOT NULL, description TEXT NOT NULL, category TEXT NOT NULL,
        brand TEXT, price REAL NOT NULL, stock INTEGER NOT NULL, rating REAL NOT NULL
      );
      CREATE INDEX IF NOT EXISTS product_category ON product (category);
      BEGIN IMMEDIATE`)
    const { stored } = this.#db.get('SELECT count(*) AS stored FROM product') ?? {}
    if (stored === 0) for (const product of products) this.#insert(product)
    this.#db.exec('COMMIT')
  }

  find (id: number): Product | undefined {
    return this.#products('SELECT * FROM product WHERE id = :id', { ':id': id })[0]
  }

  findMany (ids: readonly number[]): Product[] {
    return this.#products('SELECT * FROM product WHERE id IN (SELECT value FROM json_each(:ids))', { ':ids': JSON.stringify(ids) })
  }

  /** The ids on one page of a list, and how many there are on all pages. */
  page ({ category, q, page, pageSize, sort }: ProductQuery): { ids: number[], total: number } {
    const conditions = [
      ...category === undefined ? [] : ['category = :category'],
      ...q === undefined ? [] : [mentions]
    ]
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
    const values = { ...category === undefined ? {} : { ':category': category }, ...q === undefined ? {} : { ':q': q } }
    const counted = this.#db.get(`SELECT count(*) AS total FROM product ${where}`, values)
    const rows = this.#db.all(`SELECT id FROM product ${where} ORDER BY ${orders[sort]} LIMIT :limit OFFSET :offset`,
      { ...values, ':limit': pageSize, ':offset': (page - 1) * pageSize })
    return { ids: rows.map((row) => Number(row['id'])), total: Number(counted?.['total']) }
  }

  /** At most `limit` products that mention the words, those with the words in the title first. */
  search (q: string, limit: number): Product[] {
    return this.#products(`SELECT * FROM product WHERE ${mentions} ORDER BY instr(lower(title), lower(:q)) = 0, rating DESC, id LIMIT :limit`,
      { ':q': q, ':limit': limit })
  }

  best (limit: number): Product[] {
    return this.#products('SELECT * FROM product ORDER BY rating DESC, id LIMIT :limit', { ':limit': limit })
  }

  categories (): Category[] {
    return this.#db.all('SELECT category, count(*) AS products FROM product GROUP BY category ORDER BY category')
      .map((row) => ({ slug: String(row['category']), name: nameOf(String(row['category'])), products: Number(row['products']) }))
  }

  insert (product: NewProduct): Product {
    return this.#insert(product)
  }

  update (id: number, changes: ProductChanges): Product | undefined {
    const current = this.find(id)
    if (current === undefined) return undefined
    const changed = { ...current, ...changes }
    this.#db.run(`UPDATE product SET ${columns.map((column) => `${column} = :${column}`).join(', ')} WHERE id = :id`, bound(changed))
    return changed
  }

  delete (id: number): boolean {
    return this.#db.run('DELETE FROM product WHERE id = :id', { ':id': id }).changes > 0
  }

  close (): void {
    this.#db.close()
  }

  #insert (product: NewProduct & { id?: number }): Product {
    const names = product.id === undefined ? columns : ['id', ...columns]
    const { lastInsertRowid } = this.#db.run(`INSERT INTO product (${names.join(', ')}) VALUES (${names.map((name) => ':' + name).join(', ')})`, bound(product))
    return { ...product, id: Number(lastInsertRowid) }
  }

  #products (sql: string, values: BindValues): Product[] {
    return this.#db.all(sql, values).map(productOf)
  }
}

function bound (product: NewProduct & { id?: number }): Record<string, string | number | null> {
  const values = Object.fromEntries(columns.map((column) => [':' + column, product[column]]))
  return product.id === undefined ? values : { ...values, ':id': product.id }
}

function productOf (row: QueryResult): Product {
  return {
    id: Number(row['id']),
    title: String(row['title']),
    description: String(row['description']),
    category: String(row['category']),
    brand: row['brand'] === null ? null : String(row['brand']),
    price: Number(row['price']),
    stock: Number(row['stock']),
    rating: Number(row['rating'])
  }
}

/** `home-decoration` as people write it: `Home decoration`. */
function nameOf (slug: string): string {
  return slug.charAt(0).toUpperCase() + slug.slice(1).replaceAll('-', ' ')
}
