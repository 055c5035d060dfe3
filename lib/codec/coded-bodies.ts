/** A response body in a content coding, as it is sent to clients that accept it. */
export interface CodedBody { readonly coding: string, readonly body: Buffer }

/** Which coded bodies follow the body in an envelope, and how long each is. */
export type CodedLengths = ReadonlyArray<readonly [coding: string, length: number]>

export const lengthsOf = (coded: readonly CodedBody[]): CodedLengths => coded.map(({ coding, body }) => [coding, body.length])

export const bytesOf = (lengths: CodedLengths = []): number => lengths.reduce((sum, [, length]) => sum + length, 0)

/** An older reader finds a body longer than it is said to be: a miss to it, never a wrong body. */
export function joinBodies (body: Buffer, coded: readonly CodedBody[]): Buffer {
  return coded.length === 0 ? body : Buffer.concat([body, ...coded.map((each) => each.body)])
}

/** The reverse; `undefined` if there are fewer bytes than the header says. */
export function splitBodies (bytes: Buffer, lengths: CodedLengths = []): { readonly packed: Buffer, readonly coded: readonly CodedBody[] } | undefined {
  let start = bytes.length - bytesOf(lengths)
  if (start < 0) return undefined
  const packed = bytes.subarray(0, start)
  const coded = lengths.map(([coding, length]) => {
    // A copy: what came from the socket may be much larger than what is kept of it.
    const body = Buffer.from(bytes.subarray(start, start + length))
    start += length
    return { coding, body }
  })
  return { packed, coded }
}
