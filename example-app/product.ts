export interface Product {
  readonly id: number
  readonly title: string
  readonly description: string
  /** Slug of its category, such as `garden`. */
  readonly category: string
  readonly brand: string | null
  readonly price: number
  readonly stock: number
  /** Mean of the customers' ratings, 0 to 5. */
  readonly rating: number
}

export type NewProduct = Omit<Product, 'id'>
export type ProductChanges = Partial<NewProduct>

export const productOrders = ['id', 'title', 'price', '-price', '-rating'] as const
export type ProductOrder = typeof productOrders[number]

export interface ProductQuery {
  readonly category?: string
  /** Words to look for in title, description and brand. */
  readonly q?: string
  /** Counted from 1. */
  readonly page: number
  readonly pageSize: number
  readonly sort: ProductOrder
}

export interface Category {
  readonly slug: string
  readonly name: string
  readonly products: number
}

/** Whether a change can move a product into or out of a list, or to another place there. */
export function concernsLists (changes: ProductChanges): boolean {
  const { stock, ...listed } = changes
  return Object.keys(listed).length > 0
}
