import { readFile } from 'node:fs/promises'
import type { Product } from './product.ts'
import { messageOf, UnusableError } from './unusable.ts'

/** The catalogue that comes with the example: forty products in six categories. */
export const ownCatalogue = new URL('catalogue.json', import.meta.url)

/**
 * Reads a JSON array of products. Each needs `id`, `title`, `description`, `category` and `price`; what else it says
 * beyond `brand`, `stock` and `rating` is left out.
 */
export async function readCatalogue (file: string | URL): Promise<Product[]> {
  const content = parsed(await contentOf(file), file)
  if (!Array.isArray(content)) throw new UnusableError(`${file.toString()} is not a JSON array of products`)
  const products = content.map((item: unknown, index) => productOf(item, `product ${index + 1} of ${file.toString()}`))
  const ids = new Set<number>()
  for (const { id } of products) {
    if (ids.has(id)) throw new UnusableError(`${file.toString()} has two products with the id ${id}; give each its own`)
    ids.add(id)
  }
  return products
}

async function contentOf (file: string | URL): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new UnusableError(`The catalogue ${file.toString()} cannot be read (${messageOf(error)}); name another with --catalogue`)
  }
}

function parsed (text: string, file: string | URL): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UnusableError(`${file.toString()} is not valid JSON (${messageOf(error)}); mend it, or name another with --catalogue`)
  }
}

function productOf (item: unknown, where: string): Product {
  if (typeof item !== 'object' || item === null) throw new UnusableError(`${where} is not an object`)
  const fields = item as Readonly<Record<string, unknown>>
  const number = (name: string, otherwise?: number): number => {
    const value = fields[name] ?? otherwise
    if (typeof value !== 'number') throw new UnusableError(`${where} has no number '${name}'`)
    return value
  }
  const text = (name: string): string => {
    const value = fields[name]
    if (typeof value !== 'string') throw new UnusableError(`${where} has no text '${name}'`)
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
