import { connect, createServer, type Socket } from 'node:net'

/**
 * What the network between a client and its server does:
 * `pass` forwards; `blackhole` swallows both directions; `drop-replies` delivers requests and swallows answers;
 * `no-news` swallows what belongs to connections that have subscribed, both ways, and forwards the rest;
 * `hold` keeps everything until the mode is another; `refuse` closes every connection at once; a number delays every
 * chunk by so many milliseconds.
 */
export type ProxyMode = 'pass' | 'blackhole' | 'drop-replies' | 'no-news' | 'hold' | 'refuse' | number

export interface TcpProxy {
  readonly port: number
  readonly url: string
  mode: ProxyMode
  /** Connections that are open now. */
  readonly connections: number
  /** Breaks every open connection. */
  readonly cut: () => void
  readonly close: () => Promise<void>
}

export async function startTcpProxy (targetPort: number): Promise<TcpProxy> {
  const pairs = new Set<readonly [Socket, Socket]>()
  const subscribed = new WeakSet<Socket>()
  let mode: ProxyMode = 'pass'
  const held: Array<() => void> = []

  const forward = (from: Socket, to: Socket, isReply: boolean): void => {
    from.on('data', (chunk: Buffer) => {
      if (!isReply && /subscribe/i.test(chunk.toString('latin1'))) subscribed.add(from).add(to)
      if (mode === 'no-news' && subscribed.has(from)) return
      if (mode === 'blackhole' || (isReply && mode === 'drop-replies')) return
      if (mode === 'hold') held.push(() => { if (to.writable) to.write(chunk) })
      else if (typeof mode === 'number') setTimeout(() => { if (to.writable) to.write(chunk) }, mode)
      else if (to.writable) to.write(chunk)
    })
  }
  const server = createServer((client) => {
    if (mode === 'refuse') { client.destroy(); return }
    const upstream = connect(targetPort, '127.0.0.1')
    const pair = [client, upstream] as const
    pairs.add(pair)
    const drop = (): void => {
      client.destroy()
      upstream.destroy()
      pairs.delete(pair)
    }
    for (const socket of pair) {
      socket.setNoDelay(true)
      socket.on('error', drop)
      socket.on('close', drop)
    }
    forward(client, upstream, false)
    forward(upstream, client, true)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const cut = (): void => { for (const pair of [...pairs]) pair[0].destroy() }
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    get mode () { return mode },
    set mode (next) {
      mode = next
      if (next === 'refuse') cut()
      if (next !== 'hold') for (const send of held.splice(0)) send()
    },
    get connections () { return pairs.size },
    cut,
    close: async () => {
      cut()
      await new Promise<void>((resolve) => server.close(() => { resolve() }))
    }
  }
}
