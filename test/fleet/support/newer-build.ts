import { Redis } from 'ioredis'

const MAGIC = Buffer.from('FRC')
const OLDER = 1
const NEWER = 2

/** The connection of a build that writes version 2 of the envelope, and reads 1 as well. The bytes are otherwise the same. */
export class NewerBuild extends Redis {
  override sendCommand (...[command, ...rest]: Parameters<Redis['sendCommand']>): ReturnType<Redis['sendCommand']> {
    for (const [index, arg] of command.args.entries()) if (isEnvelope(arg)) command.args[index] = withVersion(arg, NEWER)
    const answer: Promise<unknown> = command.promise
    command.promise = answer.then((reply) => isEnvelope(reply) ? withVersion(reply, OLDER) : reply)
    return super.sendCommand(command, ...rest)
  }
}

function isEnvelope (value: unknown): value is Buffer {
  return Buffer.isBuffer(value) && value.subarray(0, MAGIC.length).equals(MAGIC)
}

function withVersion (envelope: Buffer, version: number): Buffer {
  const copy = Buffer.from(envelope)
  copy[MAGIC.length] = version
  return copy
}
