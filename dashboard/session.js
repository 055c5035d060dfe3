'use strict'

/** Where the routes of the cache begin. */
const base = location.pathname.replace(/\/dashboard\/?$/, '')
/** The token stays in this tab. */
const kept = `cache-token ${base}`
const session = { token: sessionStorage.getItem(kept) ?? '' }

class Locked extends Error {}

/**
 * Asks a route of the cache. @param {string} path @param {RequestInit} [options]
 * @throws Locked where the token is missing or wrong; else an Error that says what the answer was
 */
const request = async (path, options = {}) => {
  const headers = { ...session.token !== '' && { authorization: `Bearer ${session.token}` }, ...options.body !== undefined && { 'content-type': 'application/json' } }
  const response = await fetch(base + path, { ...options, headers, cache: 'no-store', redirect: 'error' })
  if (response.status === 401) throw new Locked('The token is needed')
  if (response.ok) return response
  const { message } = await response.json().catch(() => ({}))
  throw new Error(message ?? `The answer is ${response.status}`)
}

/** @param {string} path @param {object} [body] */
const ask = async (path, body) => await (await request(path, body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) })).json()

/** How long a stream may be silent; the server says something every quarter of a minute. */
const silenceMs = 45_000

/**
 * Hears the server-sent events of a route until they end. EventSource would do, could it show a token.
 * @param {string} path @param {AbortSignal} signal @param {(name: string, data: any) => void} hear
 */
const listen = async (path, signal, hear) => {
  const cut = new AbortController()
  const response = await request(path, { signal: AbortSignal.any([signal, cut.signal]) })
  if (response.body === null) throw new Error('This browser cannot read a stream')
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const alarm = setTimeout(() => { cut.abort(new Error('The stream has fallen silent')) }, silenceMs)
    const { done, value } = await reader.read().finally(() => { clearTimeout(alarm) })
    if (done) return
    const blocks = (rest + value).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const [, name, data] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? []
      if (name !== undefined && data !== undefined) hear(name, JSON.parse(data))
    }
  }
}

/** What is told of an error. @param {unknown} error */
const wordsOf = (error) => error instanceof Error ? error.message : String(error)
