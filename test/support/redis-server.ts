import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { until } from './until.ts'

const binary = process.env.REDIS_SERVER_BIN ?? 'redis-server'

/** A real redis-server of a test: on loopback, on a port of its own, with everything that can happen to one. */
export interface TestRedis {
  readonly host: '127.0.0.1'
  readonly port: number
  readonly url: string
  readonly pid: number
  /** Dies without a word. */
  readonly kill: () => Promise<void>
  /** Accepts bytes, answers nothing. */
  readonly freeze: () => void
  readonly thaw: () => void
  /** Comes back on the same port, empty unless the arguments say otherwise. */
  readonly restart: (args?: readonly string[]) => Promise<void>
  readonly stop: () => Promise<void>
}

export async function freePort (): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => { resolve(typeof address === 'object' && address !== null ? address.port : 0) })
    })
  })
}

/** Resolves once a replica has what its master has. */
export async function isInStep ({ port }: TestRedis): Promise<void> {
  const client = new Redis(port, '127.0.0.1')
  await until('the replica is in step', async () => (await client.info('replication')).includes('master_link_status:up'), 20)
  client.disconnect()
}

interface Running { readonly child: ChildProcess, readonly exited: Promise<void> }

/** Starts `redis-server [config] --port … ` and resolves when it accepts connections; rejects with its output. */
export async function launch (args: readonly string[]): Promise<Running> {
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = new Promise<void>((resolve) => child.once('exit', () => { resolve() }))
  let output = ''
  await new Promise<void>((resolve, reject) => {
    const look = (chunk: Buffer): void => {
      output += chunk.toString()
      if (/Ready to accept connections|Sentinel ID is|monitor master/i.test(output)) resolve()
    }
    child.stdout.on('data', look)
    child.stderr.on('data', look)
    child.once('error', reject)
    child.once('exit', () => { reject(new Error('redis-server did not start:\n' + output)) })
  })
  child.stdout.removeAllListeners('data').resume()
  child.stderr.removeAllListeners('data').resume()
  // A test file that dies must not leave a server behind.
  const reap = (): void => { child.kill('SIGKILL') }
  process.once('exit', reap)
  child.once('exit', () => process.removeListener('exit', reap))
  return { child, exited }
}

export async function startRedis (extra: readonly string[] = [], wantedPort?: number): Promise<TestRedis> {
  const dir = await mkdtemp(join(tmpdir(), 'response-cache-redis-'))
  const withPort = (port: number, args: readonly string[]): string[] => [
    '--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--enable-debug-command', 'yes',
    '--repl-diskless-sync-delay', '0', '--dir', dir, ...args
  ]
  let port = wantedPort ?? await freePort()
  let running: Running | undefined
  for (let attempt = 1; running === undefined; attempt++) {
    // Somebody else may have taken the port between the look and the start.
    try { running = await launch(withPort(port, extra)) } catch (error) {
      if (attempt === 3 || wantedPort !== undefined) throw error
      port = await freePort()
    }
  }
  let current = running
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (current.child.exitCode === null && current.child.signalCode === null) {
      current.child.kill('SIGCONT')
      current.child.kill(signal)
    }
    await current.exited
  }
  return {
    host: '127.0.0.1',
    port,
    url: `redis://127.0.0.1:${port}`,
    get pid () { return current.child.pid ?? 0 },
    kill: async () => { await end('SIGKILL') },
    freeze: () => { current.child.kill('SIGSTOP') },
    thaw: () => { current.child.kill('SIGCONT') },
    restart: async (args = extra) => {
      await end('SIGKILL')
      // A connection of somebody else may have been given the port meanwhile.
      await until('the port is free again', async () => {
        try { current = await launch(withPort(port, args)) } catch (error) {
          if (!/already in use/.test(String(error))) throw error
          return false
        }
        return true
      }, 100)
    },
    stop: async () => {
      await end('SIGKILL')
      await rm(dir, { recursive: true, force: true })
    }
  }
}
