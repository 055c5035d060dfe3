import { execFileSync, fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'

/** A server under measurement. */
export interface Target {
  readonly name: string
  readonly port: number
  readonly pid: number
  /** CPU time of the server process so far, in microseconds. */
  cpuMicros: () => Promise<number>
  stop: () => void
}

async function launch (file: string, args: readonly string[], env: Record<string, string>): Promise<{ ports: number[], target: Omit<Target, 'name' | 'port'> }> {
  const child: ChildProcess = fork(fileURLToPath(new URL(file, import.meta.url)), args, { execArgv: ['--import=tsx'], env: { CACHE_STRATEGY: 'memory', ...process.env, ...env } })
  const [{ ports }] = await once(child, 'message') as [{ ports: number[] }]
  const cpuMicros = async (): Promise<number> => {
    child.send('cpu')
    const [{ cpuMicros }] = await once(child, 'message') as [{ cpuMicros: number }]
    return cpuMicros
  }
  return { ports, target: { pid: child.pid ?? 0, cpuMicros, stop: () => { child.kill() } } }
}

export async function startServer (name: string, env: Record<string, string> = {}): Promise<Target> {
  const { ports: [port = 0], target } = await launch('./server.ts', [name], env)
  return { name, port, ...target }
}

/** Servers in one process, of one handler: what the memory of the process and its compiler happen to be is the same for all. */
export async function startTogether (handler: string, ways: readonly string[]): Promise<Target[]> {
  const { ports, target } = await launch('./miss-server.ts', [handler, ...ways], {})
  return ways.map((name, n) => ({ name, port: ports[n] ?? 0, ...target }))
}

/** Keeps a process on one core, where the system can: one that moves between them, or shares its core with the client, costs more. */
export function pin (pid: number, core: 0 | 1): void {
  try {
    execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', String(core), String(pid)], { stdio: 'ignore' })
  } catch {
    console.error(`not kept on core ${core}: process ${pid}`)
  }
}

/**
 * Sends `count` requests over `connections` keep-alive connections, each one after the answer to the one before.
 * @param fields further lines of each request
 */
export async function load (port: number, count: number, pathOf: (n: number) => string, connections = 16, fields: readonly string[] = []): Promise<void> {
  const rest = [...fields, '', ''].join('\r\n')
  let sent = 0
  await Promise.all(Array.from({ length: connections }, async () => {
    const socket = connect(port, '127.0.0.1').setNoDelay(true)
    await once(socket, 'connect')
    let received = ''
    await new Promise<void>((resolve, reject) => {
      const next = (): void => {
        if (sent >= count) {
          socket.destroy()
          resolve()
          return
        }
        socket.write(`GET ${pathOf(sent++)} HTTP/1.1\r\nHost: localhost\r\n${rest}`)
      }
      socket.on('error', reject)
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1')
        const head = received.indexOf('\r\n\r\n')
        if (head === -1) return
        const length = /content-length: (\d+)/i.exec(received)
        const chunked = length === null && /transfer-encoding: chunked/i.test(received)
        if ((length === null && !chunked) || !received.startsWith('HTTP/1.1 200')) {
          reject(new Error('unexpected answer: ' + received.slice(0, 200)))
          return
        }
        if (chunked ? !received.endsWith('\r\n0\r\n\r\n') : received.length < head + 4 + Number(length?.[1])) return
        received = ''
        next()
      })
      next()
    })
  }))
}

export const quantile = (numbers: readonly number[], part: number): number => [...numbers].sort((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * part))] ?? NaN
export const median = (numbers: readonly number[]): number => quantile(numbers, 0.5)

/** CPU microseconds per request: the middle of many short turns, and the tenth below which the quietest lie. */
export interface Cost { readonly median: number, readonly quiet: number }

/** Requests until the compiler has nothing more to do. */
const WARM_UP = Number(process.env['WARM_UP'] ?? 20_000)

interface TurnPlan { readonly rounds: number, readonly requests: number, readonly pathOf: (n: number) => string, readonly fields?: readonly string[], readonly warmUpPathOf?: (n: number) => string }

/**
 * CPU time per request of each target, round by round. The targets take short turns, many of them, in changing order: what else
 * the machine does strikes all of them alike.
 */
export async function cpuByRound (targets: readonly Target[], { rounds, requests, pathOf, fields, warmUpPathOf = pathOf }: TurnPlan): Promise<Map<string, number[]>> {
  const samples = new Map<string, number[]>(targets.map(({ name }) => [name, []]))
  let n = 0
  for (const target of targets) await load(target.port, WARM_UP, () => warmUpPathOf(n++), 16, fields)
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < targets.length; turn++) {
      const target = targets[(turn + round) % targets.length] as Target
      const before = await target.cpuMicros()
      await load(target.port, requests, () => pathOf(n++), 16, fields)
      samples.get(target.name)?.push((await target.cpuMicros() - before) / requests)
    }
  }
  return samples
}

/** The middle of the rounds of each target, and the quietest tenth. */
export async function cpuPerRequest (targets: readonly Target[], plan: TurnPlan): Promise<Map<string, Cost>> {
  return new Map([...await cpuByRound(targets, plan)].map(([name, values]) => [name, { median: median(values), quiet: quantile(values, 0.1) }]))
}

/** Prints costs beside those of some of them. */
export function printCosts (costs: ReadonlyMap<string, Cost>, beside: readonly string[], how: string): void {
  const limits = beside.map((name) => costs.get(name) ?? { median: NaN, quiet: NaN })
  console.log(`${how}, 16 connections; CPU µs per request${beside.map((name) => `, × ${name}`).join('')}`)
  for (const [name, { median, quiet }] of costs) {
    const ratios = limits.map((limit) => `   ${(median / limit.median).toFixed(2)} (${(quiet / limit.quiet).toFixed(2)})`)
    console.log(`${name.padEnd(32)} ${median.toFixed(1).padStart(6)} (${quiet.toFixed(1)})${ratios.join('')}`)
  }
}
