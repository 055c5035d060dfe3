/**
 * The bytes of an entry in Redis.
 *
 *   offset  length
 *   0       3       "FRC"
 *   3       1       version of what follows, 1
 *   4       4       length of the header, unsigned, big-endian
 *   8       …       header, JSON in UTF-8: see `entry-header.ts`
 *   …       …       body, as it is or compressed
 *
 * A change that an older reader would misunderstand gets a new version; `test/golden` keeps the bytes of every one.
 */
const MAGIC = 0x465243
const VERSION = 1
const PREAMBLE_BYTES = 8

/** Marks and response fields of one entry together; more than any sane entry has. */
export const MAX_HEADER_BYTES = 256 * 1024

export type Frame =
  | { readonly ok: true, readonly header: unknown, readonly body: Buffer }
  | { readonly ok: false, readonly reason: 'foreign' | 'version' | 'header' }

export function frame (header: unknown, body: Buffer): Buffer {
  const text = JSON.stringify(header)
  const headerBytes = Buffer.byteLength(text)
  const bytes = Buffer.allocUnsafe(PREAMBLE_BYTES + headerBytes + body.length)
  bytes.writeUInt32BE(MAGIC * 256 + VERSION, 0)
  bytes.writeUInt32BE(headerBytes, 4)
  bytes.write(text, PREAMBLE_BYTES)
  body.copy(bytes, PREAMBLE_BYTES + headerBytes)
  return bytes
}

/** Takes the bytes apart. They may come from anybody; nothing is believed but the JSON grammar. */
export function unframe (bytes: Buffer): Frame {
  if (bytes.length < PREAMBLE_BYTES || bytes.readUIntBE(0, 3) !== MAGIC) return { ok: false, reason: 'foreign' }
  if (bytes[3] !== VERSION) return { ok: false, reason: 'version' }
  const end = PREAMBLE_BYTES + bytes.readUInt32BE(4)
  if (end > bytes.length || end > PREAMBLE_BYTES + MAX_HEADER_BYTES) return { ok: false, reason: 'header' }
  try {
    return { ok: true, header: JSON.parse(bytes.toString('utf8', PREAMBLE_BYTES, end)), body: bytes.subarray(end) }
  } catch {
    return { ok: false, reason: 'header' }
  }
}
