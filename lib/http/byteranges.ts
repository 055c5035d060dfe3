/** Part of a body, both ends included, as in Content-Range. */
export interface ByteRange { readonly start: number, readonly end: number }

/** The body of a multipart/byteranges answer (RFC 9110 §14.6); the boundary must not occur in the body. */
export function multipartByteranges (body: Buffer, ranges: readonly ByteRange[], contentType: string | undefined, boundary: string): Buffer {
  const type = contentType === undefined ? '' : `Content-Type: ${contentType}\r\n`
  const chunks: Buffer[] = []
  for (const { start, end } of ranges) {
    chunks.push(Buffer.from(`--${boundary}\r\n${type}Content-Range: bytes ${start}-${end}/${body.length}\r\n\r\n`, 'latin1'))
    chunks.push(body.subarray(start, end + 1), CRLF)
  }
  chunks.push(Buffer.from(`--${boundary}--\r\n`, 'latin1'))
  return Buffer.concat(chunks)
}

const CRLF = Buffer.from('\r\n')
