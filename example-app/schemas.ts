import { productOrders } from './product.ts'

const text = { type: 'string', minLength: 1 } as const
const slug = { type: 'string', pattern: '^[a-z0-9]+(-[a-z0-9]+)*$' } as const
const paging = {
  page: { type: 'integer', minimum: 1, default: 1 },
  pageSize: { type: 'integer', minimum: 1, maximum: 100, default: 20 },
  sort: { type: 'string', enum: productOrders, default: 'id' }
} as const

const fields = {
  title: text,
  description: text,
  category: slug,
  brand: { type: ['string', 'null'] },
  price: { type: 'number', minimum: 0 },
  stock: { type: 'integer', minimum: 0 },
  rating: { type: 'number', minimum: 0, maximum: 5 }
} as const

const product = { type: 'object', properties: { id: { type: 'integer' }, ...fields } } as const

const productPage = {
  type: 'object',
  properties: { items: { type: 'array', items: product }, page: { type: 'integer' }, pageSize: { type: 'integer' }, total: { type: 'integer' } }
} as const

const failure = { type: 'object', properties: { statusCode: { type: 'integer' }, error: { type: 'string' }, message: { type: 'string' } } } as const
const byId = { type: 'object', properties: { id: { type: 'integer', minimum: 1 } }, required: ['id'] } as const
const bySlug = { type: 'object', properties: { slug }, required: ['slug'] } as const

/** A closed query: the cache takes its key from these parameters alone, in any order, defaults filled in. */
const query = <P extends object>(properties: P, required: readonly string[] = []) => ({ type: 'object', properties, required, additionalProperties: false }) as const

export const listProducts = { summary: 'Products, page by page', querystring: query({ category: slug, q: text, ...paging }), response: { 200: productPage } } as const
export const getProduct = { summary: 'One product', params: byId, querystring: query({}), response: { 200: product, 404: failure } } as const
export const getDescription = {
  summary: 'The description of a product',
  params: byId,
  querystring: query({}),
  response: { 200: { type: 'object', properties: { id: { type: 'integer' }, title: text, description: text } }, 404: failure }
} as const
export const listCategories = {
  summary: 'The categories',
  querystring: query({}),
  response: { 200: { type: 'array', items: { type: 'object', properties: { slug, name: text, products: { type: 'integer' } } } } }
} as const
export const listCategory = { summary: 'The products of a category', params: bySlug, querystring: query(paging), response: { 200: productPage, 404: failure } } as const
export const search = {
  summary: 'Products that mention some words',
  querystring: query({ q: text }, ['q']),
  response: {
    200: { type: 'object', properties: { items: { type: 'array', items: { type: 'object', properties: { id: { type: 'integer' }, title: text, price: { type: 'number' }, excerpt: text } } } } }
  }
} as const

export const createProduct = {
  summary: 'Add a product',
  body: {
    type: 'object',
    properties: { ...fields, brand: { ...fields.brand, default: null }, stock: { ...fields.stock, default: 0 }, rating: { ...fields.rating, default: 0 } },
    required: ['title', 'description', 'category', 'price'],
    additionalProperties: false
  },
  response: { 201: product }
} as const
export const changeProduct = {
  summary: 'Change a product',
  params: byId,
  body: { type: 'object', properties: fields, minProperties: 1, additionalProperties: false },
  response: { 200: product, 404: failure }
} as const
export const deleteProduct = { summary: 'Remove a product', params: byId, response: { 204: { type: 'null' }, 404: failure } } as const

const ready = { type: 'object', properties: { ready: { type: 'boolean' } } } as const
export const readiness = { summary: 'Whether requests may come', response: { 200: ready, 503: ready } } as const
