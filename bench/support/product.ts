/** A product of about 2 KB of JSON, and the response schema of it. */
export const product = {
  id: 42,
  title: 'Walnut desk with a drawer',
  description: 'A desk of solid walnut, oiled by hand, with one wide drawer and a cable tray behind it. '.repeat(14),
  category: 'furniture',
  price: 749.5,
  stock: 12,
  tags: ['desk', 'walnut', 'office', 'solid wood'],
  dimensions: { width: 140, height: 74, depth: 70 },
  reviews: Array.from({ length: 6 }, (_, n) => ({ rating: 3 + n % 3, comment: `Review number ${n}: stands firmly, looks good, took an hour to build.`, reviewer: `Customer ${n}` }))
}

const text = { type: 'string' } as const
const number = { type: 'number' } as const

export const productSchema = {
  response: {
    200: {
      type: 'object',
      properties: {
        id: { type: 'integer' },
        title: text,
        description: text,
        category: text,
        price: number,
        stock: { type: 'integer' },
        tags: { type: 'array', items: text },
        dimensions: { type: 'object', properties: { width: number, height: number, depth: number } },
        reviews: { type: 'array', items: { type: 'object', properties: { rating: number, comment: text, reviewer: text } } }
      }
    }
  }
}

/** A list of about 20 KB of JSON, with texts as unlike each other as those of a shop. */
export const large = {
  items: Array.from({ length: 88 }, (_, n) => ({
    id: n,
    title: `${['Walnut', 'Oak', 'Pine', 'Steel'][n % 4] ?? ''} ${['desk', 'shelf', 'chair', 'lamp', 'bench'][n % 5] ?? ''} no. ${n * 7919 % 1000}`,
    sku: (n * 2654435761 % 2 ** 32).toString(36),
    price: (n * 37 % 900) + 0.99,
    stock: n * 13 % 70,
    description: Array.from({ length: 24 }, (_, word) => (n * 31 + word * word * 17).toString(36)).join(' ') + '. Oiled by hand, delivered in two parcels.'
  }))
}
