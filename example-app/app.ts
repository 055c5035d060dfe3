import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import cache from 'fastify-response-cache'
import { ownCatalogue, readCatalogue } from './catalogue.ts'
import { ProductDatabase } from './database.ts'
import type { Product } from './product.ts'
import { ProductService } from './product-service.ts'
import { addRoutes } from './routes.ts'
import { messageOf, UnusableError } from './unusable.ts'

export interface AppOptions {
  /** A JSON file of products. @default the catalogue that comes with the example */
  catalogue?: string | URL | undefined
  /** The file of the database, which several instances may share. @default none: the database lives in memory */
  database?: string | undefined
  /** Bearer token of the guarded cache routes; without one they do not exist. */
  adminToken?: string | undefined
  /** @default false */
  logger?: FastifyServerOptions['logger']
}

/** The whole application, not yet listening. */
export async function buildApp ({ catalogue = ownCatalogue, database: file, adminToken, logger = false }: AppOptions = {}): Promise<FastifyInstance> {
  const products = await readCatalogue(catalogue)
  const database = openDatabase(products, file)
  const app = Fastify({ logger })
  app.addHook('onClose', async () => { database.close() })
  await app.register(cache, { admin: { token: adminToken } })
  addRoutes(app, new ProductService(database, app.cache))
  return app
}

function openDatabase (products: readonly Product[], file: string | undefined): ProductDatabase {
  try {
    return new ProductDatabase(products, file)
  } catch (error) {
    throw new UnusableError(`The database ${file ?? 'in memory'} cannot be used (${messageOf(error)}); name another with --database`)
  }
}
