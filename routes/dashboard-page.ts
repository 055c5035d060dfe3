import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** A page that loads nothing, and the policy that lets through just what is in it. */
export interface DashboardPage { readonly html: string, readonly policy: string }

const CHARTS = 'uplot/dist/uPlot.iife.min.js'
const CHARTS_STYLE = 'uplot/dist/uPlot.min.css'
/** Plain scripts, which share their names: each may use those before it. */
const SCRIPTS = ['figures.js', 'elements.js', 'charts.js', 'board.js', 'session.js', 'live.js', 'forms.js']

/**
 * Puts the page of `dashboard/` together. It holds no data: what it shows it fetches, with the token that its user gives
 * it. Only these very scripts and styles run, and they talk to this server only.
 */
export async function readDashboardPage (): Promise<DashboardPage> {
  const require = createRequire(import.meta.url)
  // The files are no modules, so the build leaves them where they are: seen from the sources and from dist alike.
  const folder = join(dirname(require.resolve('fastify-response-cache/package.json')), 'dashboard')
  const own = async (name: string): Promise<string> => await readFile(join(folder, name), 'utf8')
  const [page, scripts, styles] = await Promise.all([
    own('page.html'),
    Promise.all([readFile(require.resolve(CHARTS), 'utf8'), ...SCRIPTS.map(own)]),
    Promise.all([readFile(require.resolve(CHARTS_STYLE), 'utf8'), own('style.css')])
  ])
  return {
    html: page
      .replace('<!-- styles -->', () => styles.map((style) => `<style>${style}</style>`).join('\n'))
      .replace('<!-- scripts -->', () => scripts.map((script) => `<script>${script}</script>`).join('\n')),
    policy: `default-src 'none'; script-src ${hashesOf(scripts)}; style-src ${hashesOf(styles)}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'`
  }
}

const hashesOf = (texts: readonly string[]): string => texts.map((text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`).join(' ')
