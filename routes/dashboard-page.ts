import { createHash } from 'node:crypto'
import { DASHBOARD_SCRIPT } from './dashboard-script.ts'
import { DASHBOARD_STYLE } from './dashboard-style.ts'

const chart = (id: string, title: string, legend = ''): string =>
  `<section><h2>${title}</h2>${legend}<div id="${id}" data-title="${title}"></div><div class="soft" id="${id}-now" aria-live="off"></div></section>`

/** The page: it holds no data. What it shows it fetches, with the token that its user gives it. */
export const DASHBOARD_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Cache</title>
<style>${DASHBOARD_STYLE}</style>
</head>
<body>
<header><h1>Cache</h1><span id="state" class="soft" role="status"></span></header>
<main>
<form id="login" hidden autocomplete="off">
<h2>Token of the admin routes</h2>
<label><input id="token" type="password" required autocomplete="off" aria-label="Token"></label><button>Show</button>
<p class="bad" id="login-error" role="alert"></p>
<p class="soft">It stays in this tab and is sent to this server only.</p>
</form>
<div id="board" hidden>
<div class="tiles" id="tiles"></div>
<div class="grid">
<section><h2>Alerts</h2><ul id="alerts"></ul></section>
<section><h2>Recommendations</h2><ul id="recommendations"></ul></section>
${chart('hit-rate', 'Hit rate')}
${chart('latency', 'Latency, 95th percentile', '<div class="soft"><span class="key0">answers from the cache</span><span class="key1">loads</span></div>')}
<section id="curve-box"><h2>Hit rate by size of the memory</h2><div id="curve" data-title="Hit rate by size of the memory"></div><div class="soft" id="curve-now"></div><div class="soft" id="policies"></div></section>
${chart('evictions', 'Evictions a minute')}
<section><h2>Tiers</h2><div id="tiers"></div></section>
<section class="broad"><h2>Hottest keys</h2><div class="scroll"><table id="hottest"></table></div></section>
<section class="wide"><h2>Routes and data, last hour</h2><div class="scroll"><table id="groups"></table></div></section>
<section class="wide" id="operations-box" hidden><h2>Recorded operations, last hour</h2><div class="scroll"><table id="operations"></table></div></section>
<form class="wide" id="purge" autocomplete="off">
<h2>Purge</h2>
<label><select id="what" aria-label="By"><option value="tags">tags</option><option value="keys">keys</option><option value="patterns">patterns</option><option value="paths">paths</option></select></label>
<label><input id="names" type="text" required placeholder="product:42, catalog" aria-label="Names, with commas between them"></label>
<label><input id="soft" type="checkbox">soft: stale instead of gone</label>
<div><button value="try" class="plain">What would it touch?</button><button value="do">Purge</button><button type="button" class="plain" id="leave">Forget the token</button></div>
<p id="purged" role="status"></p>
</form>
</div>
</div>
</main>
<script>${DASHBOARD_SCRIPT}</script>
</body>
</html>
`

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** Only this very script and this very style run, and they talk to this server only. */
export const DASHBOARD_POLICY = `default-src 'none'; script-src ${hashOf(DASHBOARD_SCRIPT)}; style-src ${hashOf(DASHBOARD_STYLE)}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'`
