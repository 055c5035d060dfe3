export interface ServerEvent { readonly name: string, readonly data: string }

/** Reads server-sent events (WHATWG HTML §9.2.6) as far as our server writes them: one line of data, LF line ends. */
export async function * readEvents (body: AsyncIterable<Uint8Array> | null): AsyncGenerator<ServerEvent, void, undefined> {
  if (body === null) return
  const decoder = new TextDecoder()
  let text = ''
  try {
    for await (const chunk of body) {
      text += decoder.decode(chunk, { stream: true })
      const blocks = text.split('\n\n')
      text = blocks.pop() ?? ''
      for (const block of blocks) {
        const fields = new Map(block.split('\n').map((line) => [line.slice(0, Math.max(0, line.indexOf(':'))), line.slice(line.indexOf(':') + 1).trimStart()]))
        const data = fields.get('data')
        if (data !== undefined) yield { name: fields.get('event') ?? 'message', data }
      }
    }
  } catch {
    // Cut off: whoever reads finds that the last event is missing, and asks again.
  }
}
