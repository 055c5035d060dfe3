// Loaded before a snippet of a document: it listens on loopback or not at all, on a port that is free, and a server that
// nobody closes does not keep the process.
import net from 'node:net'
import type { ListenOptions } from 'node:net'

const loopback = ['127.0.0.1', '::1', 'localhost']
const { listen } = net.Server.prototype

Object.assign(net.Server.prototype, {
  listen (this: net.Server, options: ListenOptions, ...rest: unknown[]): net.Server {
    if (typeof options !== 'object' || !loopback.includes(options.host ?? '')) throw new Error(`A snippet listens on ${JSON.stringify(options)}, beyond loopback`)
    this.unref()
    return Reflect.apply(listen, this, [{ ...options, port: 0 }, ...rest]) as net.Server
  }
})
