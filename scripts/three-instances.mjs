#!/usr/bin/env node
// Starts a Redis and three instances of the example app on loopback, which share a database, changes a product through the
// first one, and shows what the others answer next. Ends with 1 if one of them still shows what was.
// --keep leaves them running, on ports 3001 to 3003 (where prometheus/prometheus.yml looks), until Ctrl-C.
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const { values: { keep } } = parseArgs({ options: { keep: { type: 'boolean', default: false } } })
const root = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(path.join(tmpdir(), 'fastify-response-cache-three-'))
const children = []

/** Starts a program, and answers what `ready` finds in its output. */
function start (command, args, ready, env = {}) {
  const child = spawn(command, args, { cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  return new Promise((resolve, reject) => {
    let output = ''
    const look = (chunk) => {
      output += chunk
      const found = ready.exec(output)
      if (found !== null) resolve(found[1])
    }
    child.stdout.on('data', look)
    child.stderr.on('data', look)
    child.once('error', reject)
    child.once('exit', (code) => { reject(new Error(`${command} ended with ${code}:\n${output}`)) })
  })
}

const freePort = () => new Promise((resolve, reject) => {
  const server = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
    const { port } = server.address()
    server.close(() => { resolve(port) })
  })
})

/** As clients behind a load balancer ask: by one name, whichever instance they get. The name is part of the key. */
function ask (origin, method, target, body) {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(origin)
    const sent = request({ hostname, port, method, path: target, headers: { host: 'shop.example', ...body && { 'content-type': 'application/json' } } }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk) => { text += chunk }).once('end', () => {
        const { 'cache-status': status = '' } = response.headers
        resolve({ text, status: status.replace('fastify-response-cache;', '') })
      })
    })
    sent.once('error', reject).end(body && JSON.stringify(body))
  })
}

async function show (origins, target, stock) {
  let right = true
  for (const [index, origin] of origins.entries()) {
    const { text, status } = await ask(origin, 'GET', target)
    const found = /"id":15,.*?"stock":(\d+)/.exec(text)?.[1]
    if (stock !== undefined && found !== String(stock)) right = false
    console.log(`  instance ${index + 1}  stock ${found}  ${status}`)
  }
  return right
}

async function tour (origins) {
  const pages = ['/products/15', '/products?category=garden&sort=price']
  for (const page of pages) {
    console.log(`\nGET ${page}`)
    await show(origins, page)
    await show(origins, page)
  }
  const { stock } = JSON.parse((await ask(origins[0], 'GET', '/products/15')).text)
  let right = true
  for (const [index, origin] of origins.entries()) {
    const left = stock - 1 - index
    console.log(`\nPATCH /products/15 {"stock": ${left}} through instance ${index + 1}`)
    await ask(origin, 'PATCH', '/products/15', { stock: left })
    for (const page of pages) {
      console.log(`GET ${page}`)
      right = await show(origins, page, left) && right
    }
  }
  console.log(right ? '\nNobody showed what was.' : '\nAn instance showed what was.')
  process.exitCode = right ? 0 : 1
}

try {
  const binary = execFileSync(process.execPath, [path.join(root, 'scripts/ensure-redis.mjs')], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  const redis = await freePort()
  await start(binary, ['--port', String(redis), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder], /Ready to accept (connections)/)
  const origins = []
  // One after the other: the first one fills the database.
  for (const port of keep ? [3001, 3002, 3003] : [0, 0, 0]) {
    origins.push(await start(process.execPath, ['--import=tsx', '--conditions=@fastify-response-cache/source', 'example-app/server.ts', '--database', path.join(folder, 'products.db')], /on (http:\S+)/, { PORT: String(port), CACHE_STRATEGY: 'hybrid', CACHE_REDIS_URL: `redis://127.0.0.1:${redis}` }))
  }
  console.log(`Redis on 127.0.0.1:${redis}, instances on ${origins.join(', ')}`)
  await tour(origins)
  if (keep) {
    console.log('\nCtrl-C ends them all.')
    await new Promise((resolve) => { process.once('SIGINT', resolve).once('SIGTERM', resolve) })
  }
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
} finally {
  for (const child of children.reverse()) {
    child.removeAllListeners('exit')
    child.kill('SIGTERM')
  }
  await Promise.all(children.map((child) => child.exitCode ?? child.signalCode ?? new Promise((resolve) => { child.once('exit', resolve) })))
  rmSync(folder, { recursive: true, force: true })
}
