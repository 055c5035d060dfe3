import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Target } from './load.ts'

/** What Linux counts CPU time in (`getconf CLK_TCK`). */
const MICROS_PER_TICK = 10_000

/** An nginx of one process that serves `body` from a file beside its gzip, as it does with `gzip_static`; `undefined` where there is none. */
export async function startNginx (name: string, body: string): Promise<Target | undefined> {
  if (spawnSync('nginx', ['-v']).error !== undefined) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'bench-nginx-'))
  writeFileSync(join(folder, 'product'), body)
  writeFileSync(join(folder, 'product.gz'), gzipSync(body, { level: 6 }))
  const port = await freePort()
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `${what}_temp_path ${folder}/${what};`).join(' ')
  writeFileSync(join(folder, 'nginx.conf'), `${process.getuid?.() === 0 ? 'user root;' : ''} daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error;
    events {} http { access_log off; keepalive_requests 100000000; default_type application/json; ${temporary}
    server { listen 127.0.0.1:${port}; root ${folder}; gzip_static on; } }`)
  const child = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], { stdio: 'ignore' })
  while (child.exitCode === null && !(await fetch(`http://127.0.0.1:${port}/product`).then(({ ok }) => ok, () => false)));
  return {
    name,
    port,
    pid: child.pid ?? 0,
    cpuMicros: async () => {
      const [, rest = ''] = readFileSync(`/proc/${child.pid ?? 0}/stat`, 'latin1').split(') ')
      const fields = rest.split(' ')
      return (Number(fields[11]) + Number(fields[12])) * MICROS_PER_TICK
    },
    stop: () => {
      child.once('exit', () => { rmSync(folder, { recursive: true }) })
      child.kill()
    }
  }
}

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
