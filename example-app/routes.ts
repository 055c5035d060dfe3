import type { FastifyInstance, FastifyReply } from 'fastify'
import type { NewProduct, ProductChanges, ProductQuery } from './product.ts'
import type { ProductService } from './product-service.ts'
import * as schemas from './schemas.ts'

interface ById { Params: { id: number } }
type Listing = Omit<ProductQuery, 'category'>

/** The Product Descriptions API. What is cached stands beside each route; what a change purges, in the service. */
export function addRoutes (app: FastifyInstance, service: ProductService): void {
  // A list also has to go when a product may be missing from it, which no product in it can tell: the tag `catalog`.
  const listed = { cache: { ttl: 60, staleWhileRevalidate: 10, tags: ['catalog'] } }
  const single = { cache: { ttl: 300, staleWhileRevalidate: 30, staleIfError: 3600 } }

  app.get<{ Querystring: ProductQuery }>('/products', { schema: schemas.listProducts, config: listed }, async (request) => await service.page(request.query))

  app.get<ById>('/products/:id', { schema: schemas.getProduct, config: single }, async (request, reply) => {
    return await service.product(request.params.id) ?? notFound(reply, `product ${request.params.id}`)
  })

  app.get<ById>('/products/:id/description', { schema: schemas.getDescription, config: single }, async (request, reply) => {
    return await service.product(request.params.id) ?? notFound(reply, `product ${request.params.id}`)
  })

  app.get('/categories', { schema: schemas.listCategories, config: { cache: { ttl: 3600 } } }, async () => await service.categories())

  app.get<{ Params: { slug: string }, Querystring: Listing }>('/categories/:slug/products', { schema: schemas.listCategory, config: listed }, async (request, reply) => {
    const page = await service.page({ ...request.query, category: request.params.slug })
    return page.total > 0 ? page : notFound(reply, `category '${request.params.slug}'`)
  })

  app.get<{ Querystring: { q: string } }>('/search', {
    schema: schemas.search,
    config: { cache: { ...listed.cache, entities: { product: 'items[].id' } } }
  }, async (request) => service.search(request.query.q))

  app.post<{ Body: NewProduct }>('/products', { schema: schemas.createProduct }, async (request, reply) => {
    const product = await service.create(request.body)
    return await reply.code(201).header('location', `/products/${product.id}`).send(product)
  })

  app.patch<ById & { Body: ProductChanges }>('/products/:id', { schema: schemas.changeProduct }, async (request, reply) => {
    return await service.update(request.params.id, request.body) ?? notFound(reply, `product ${request.params.id}`)
  })

  app.delete<ById>('/products/:id', { schema: schemas.deleteProduct }, async (request, reply) => {
    return await service.delete(request.params.id) ? await reply.code(204).send() : notFound(reply, `product ${request.params.id}`)
  })
}

function notFound (reply: FastifyReply, what: string): object {
  reply.code(404)
  return { statusCode: 404, error: 'Not Found', message: `There is no ${what}` }
}
