import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'

/** A server under measurement. */
export interface Target {
  readonly name: string
  readonly port: number
  /** CPU time of the server process so far, in microseconds. */
  cpuMicros: () => Promise<number>
  stop: () => void
}

export async function startServer (name: string, env: Record<string, string> = {}): Promise<Target> {
  const child: ChildProcess = fork(fileURLToPath(new URL('./server.ts', import.meta.url)), [name], { execArgv: ['--import=tsx'], env: { ...process.env, ...env } })
  const [{ port }] = await once(child, 'message') as [{ port: number }]
  return {
    name,
    port,
    cpuMicros: async () => {
      child.send('cpu')
      const [{ cpuMicros }] = await once(child, 'message') as [{ cpuMicros: number }]
      return cpuMicros
    },
    stop: () => { child.kill() }
  }
}

/** Sends `count` requests over `connections` keep-alive connections, each one after the answer to the one before. */
export async function load (port: number, count: number, pathOf: (n: number) => string, connections = 16): Promise<void> {
  let sent = 0
  await Promise.all(Array.from({ length: connections }, async () => {
    const socket = connect(port, '127.0.0.1').setNoDelay(true)
    await once(socket, 'connect')
    let rest = ''
    await new Promise<void>((resolve, reject) => {
      const next = (): void => {
        if (sent >= count) {
          socket.destroy()
          resolve()
          return
        }
        socket.write(`GET ${pathOf(sent++)} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      }
      socket.on('error', reject)
      socket.on('data', (chunk) => {
        rest += chunk.toString('latin1')
        const head = rest.indexOf('\r\n\r\n')
        if (head === -1) return
        const length = /content-length: (\d+)/i.exec(rest)
        if (length === null || !rest.startsWith('HTTP/1.1 200')) {
          reject(new Error('unexpected answer: ' + rest.slice(0, 200)))
          return
        }
        if (rest.length < head + 4 + Number(length[1])) return
        rest = ''
        next()
      })
      next()
    })
  }))
}

export const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN

/** CPU microseconds per request of each target, measured in turns, so that a busy moment strikes all of them. */
export async function cpuPerRequest (targets: readonly Target[], { rounds, requests, pathOf }: { rounds: number, requests: number, pathOf: (n: number) => string }): Promise<Map<string, number>> {
  const samples = new Map<string, number[]>()
  let n = 0
  for (const target of targets) await load(target.port, requests, () => pathOf(n++))
  for (let round = 0; round < rounds; round++) {
    for (const target of targets) {
      const before = await target.cpuMicros()
      await load(target.port, requests, () => pathOf(n++))
      const after = await target.cpuMicros()
      samples.set(target.name, [...samples.get(target.name) ?? [], (after - before) / requests])
    }
  }
  return new Map([...samples].map(([name, values]) => [name, median(values)]))
}
