import { fork, type ChildProcess } from 'node:child_process'
import type { MaybePromise } from '../../../lib/maybe-promise.ts'
import { programFile } from '../../support/program.ts'
import type { FromMember, Order, Replies, ToMember } from './orders.ts'

/** Answers the question of a handler: which version of the key the database has. */
export type Database = (key: string, member: Member) => MaybePromise<number>

/** The process an order was given to has died. */
export class MemberGone extends Error {}

interface Waiting { readonly resolve: (reply: never) => void, readonly reject: (error: Error) => void }

/** A real process with an app and a cache of its own. */
export class Member {
  readonly name: string
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  readonly #exited: Promise<void>
  #orders = 0

  private constructor (name: string, child: ChildProcess) {
    this.name = name
    this.#child = child
    this.#exited = new Promise((resolve) => child.once('exit', () => { resolve() }))
    const gone = (): void => {
      for (const { reject } of this.#waiting.values()) reject(new MemberGone(name))
      this.#waiting.clear()
    }
    child.once('exit', gone)
    // Writing to a process that has just died.
    child.on('error', () => {})
  }

  static async start (name: string, database: Database): Promise<Member> {
    const child = fork(programFile('test/fleet/support/member'), [], {
      execArgv: [...process.execArgv, '--unhandled-rejections=warn', '--expose-gc'],
      env: { ...process.env, NODE_OPTIONS: '', FORCE_COLOR: '0' },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc']
    })
    const member = new Member(name, child)
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => { reject(new Error(`${name} did not start: ${String(code)}`)) })
      child.on('message', (message: FromMember) => {
        if (message.kind === 'up') resolve()
        else member.#hear(message, database).catch(reject)
      })
    })
    const reap = (): void => { child.kill('SIGKILL') }
    process.once('exit', reap)
    child.once('exit', () => { process.off('exit', reap) })
    return member
  }

  get alive (): boolean { return this.#child.exitCode === null && this.#child.signalCode === null }

  /** @throws MemberGone, or what the process says went wrong */
  async do<O extends Order> (order: O): Promise<Replies[O['op']]> {
    if (!this.alive) throw new MemberGone(this.name)
    const id = ++this.#orders
    return await new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (reply: never) => void, reject })
      this.#send({ kind: 'order', id, order })
    })
  }

  freeze (): void { this.#child.kill('SIGSTOP') }
  thaw (): void { this.#child.kill('SIGCONT') }

  /** Dies without a word. */
  async kill (): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  #send (message: ToMember): void {
    this.#child.send(message, () => {})
  }

  async #hear (message: FromMember, database: Database): Promise<void> {
    if (message.kind === 'ask') {
      const version = await database(message.key, this)
      if (this.alive) this.#send({ kind: 'version', id: message.id, version })
      return
    }
    if (message.kind === 'up') return
    const waiting = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    if (message.kind === 'failed') waiting?.reject(new Error(`${this.name}: ${message.error}`))
    else waiting?.resolve(message.reply as never)
  }
}

/** Several at once, not yet joined to any Redis. */
export async function startMembers (count: number, database: Database): Promise<Member[]> {
  return await Promise.all(Array.from({ length: count }, async (_, index) => await Member.start(`process ${index}`, database)))
}

export async function stopMembers (members: readonly Member[]): Promise<void> {
  await Promise.all(members.map(async (member) => { await member.kill() }))
}
