/** A product of about 2 KB of JSON, made of as many values as those of real shops are, and the response schema of it. */
const image = (n: number | string): string => `https://images.shop.example/furniture/walnut-desk-with-a-drawer/${n}.webp`
export const product = {
  id: 42,
  title: 'Walnut desk with a drawer',
  description: 'A desk of solid walnut, oiled by hand, with one wide drawer and a cable tray behind it. Delivered in two boxes, put up within the hour.',
  category: 'furniture',
  price: 749.5,
  discountPercentage: 12.25,
  rating: 4.46,
  stock: 12,
  tags: ['desk', 'walnut', 'office', 'solid wood'],
  brand: 'Holzmann & Daughters',
  sku: 'FUR-DES-042',
  weight: 31.5,
  dimensions: { width: 140, height: 74, depth: 70 },
  warranty: '5 years on wood and joints',
  shipping: 'Ships in 3 to 5 business days',
  availability: 'in stock',
  reviews: Array.from({ length: 5 }, (_, n) => ({ rating: 3 + n % 3, comment: `Stands firmly, looks good, took ${n + 1} hours to build.`, date: `2026-0${n + 1}-14T09:41:02.053Z`, reviewer: `Customer ${n}`, email: `customer.${n}@mail.example` })),
  returns: '90 days',
  minimumOrder: 1,
  meta: { createdAt: '2025-04-30T09:41:02.053Z', updatedAt: '2026-08-12T16:20:44.100Z', barcode: '8156838251449', code: 'https://images.shop.example/code.png' },
  images: [1, 2, 3, 4].map(image),
  thumbnail: image('small')
}

const text = { type: 'string' } as const
const number = { type: 'number' } as const
const texts = { type: 'array', items: text } as const

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
        discountPercentage: number,
        rating: number,
        stock: { type: 'integer' },
        tags: texts,
        brand: text,
        sku: text,
        weight: number,
        dimensions: { type: 'object', properties: { width: number, height: number, depth: number } },
        warranty: text,
        shipping: text,
        availability: text,
        reviews: { type: 'array', items: { type: 'object', properties: { rating: number, comment: text, date: text, reviewer: text, email: text } } },
        returns: text,
        minimumOrder: { type: 'integer' },
        meta: { type: 'object', properties: { createdAt: text, updatedAt: text, barcode: text, code: text } },
        images: texts,
        thumbnail: text
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
