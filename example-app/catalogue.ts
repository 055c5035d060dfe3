import { readFile } from 'node:fs/promises'
import type { Product } from './product.ts'

/** The catalogue that comes with the example: forty products in six categories. */
export const ownCatalogue = new URL('catalogue.json', import.meta.url)

/**
 * Reads a JSON array of products. Each needs `id`, `title`, `description`, `category` and `price`; what else it says
 * beyond `brand`, `stock` and `rating` is left out.
 */
export async function readCatalogue (file: string | URL): Promise<Product[]> {
  const content: unknown = JSON.parse(await readFile(file, 'utf8'))
  if (!Array.isArray(content)) throw new Error(`${file.toString()} is not a JSON array of products`)
  return content.map((item: unknown, index) => productOf(item, `product ${index + 1} of ${file.toString()}`))
}

function productOf (item: unknown, where: string): Product {
  if (typeof item !== 'object' || item === null) throw new Error(`${where} is not an object`)
  const fields = item as Readonly<Record<string, unknown>>
  const number = (name: string, otherwise?: number): number => {
    const value = fields[name] ?? otherwise
    if (typeof value !== 'number') throw new Error(`${where} has no number '${name}'`)
    return value
  }
  const text = (name: string): string => {
    const value = fields[name]
    if (typeof value !== 'string') throw new Error(`${where} has no text '${name}'`)
    return value
  }
  return {
    id: number('id'),
    title: text('title'),
    description: text('description'),
    category: text('category'),
    brand: fields['brand'] === undefined || fields['brand'] === null ? null : text('brand'),
    price: number('price'),
    stock: number('stock', 0),
    rating: number('rating', 0)
  }
}
