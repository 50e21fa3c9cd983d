/** Style and script of the status page. They are in the page itself, and only they may run there, by their hashes. */
import { createHash } from 'node:crypto';

export const STYLE = `
:root{color-scheme:light dark;--ink:#1c2024;--dim:#5b6470;--rule:#d8dde3;
--ground:#fff;--card:#f5f7f9;--a:#0b62c4;--b:#b4480a;--bad:#b3121d;--good:#16702e}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--dim:#98a2ad;--rule:#333b44;
--ground:#14181c;--card:#1d2328;--a:#6cb0ff;--b:#ffa057;--bad:#ff7b82;--good:#67cf83}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1100px;padding:16px;background:var(--ground);color:var(--ink);font:15px/1.45 system-ui,sans-serif}
h1{font-size:1.3rem;margin:0}h2{font-size:1rem;margin:24px 0 8px}p{margin:4px 0}
.dim,figcaption,.axis,th,dt{color:var(--dim)}.bad{color:var(--bad)}.good{color:var(--good)}
.a{color:var(--a)}.b{color:var(--b)}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(160px,1fr));gap:8px;margin:16px 0}
dl div{background:var(--card);border-radius:6px;padding:8px 12px}
dt{font-size:.8rem}dd{margin:0;font-size:1.05rem;white-space:nowrap;font-variant-numeric:tabular-nums}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:16px}
figure{margin:0;background:var(--card);border-radius:6px;padding:10px 12px}
figcaption{font-size:.85rem;margin-bottom:6px}
figcaption span{font-variant-numeric:tabular-nums;margin-left:8px;white-space:nowrap}
svg{display:block;width:100%;height:100px;border-bottom:1px solid var(--rule)}
path{fill:none;stroke:currentColor;stroke-width:2;stroke-linecap:round;vector-effect:non-scaling-stroke}
.axis{display:flex;justify-content:space-between;font-size:.75rem;margin:2px 0 0}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:4px 6px;border-bottom:1px solid var(--rule);white-space:nowrap}
th{font-weight:400;font-size:.8rem}
th:first-child,td:first-child{text-align:left;padding-left:0;white-space:normal;overflow-wrap:anywhere;min-width:8rem}
a{color:var(--a)}ul{padding-left:20px;margin:4px 0}li{overflow-wrap:anywhere}
#old{display:none;background:var(--bad);color:var(--ground);padding:6px 12px;border-radius:6px;margin-bottom:12px}
.old #old{display:block}
`;

/** Fetches the page again, and takes its numbers. A page that is not looked at is not fetched. */
export const SCRIPT = `
let busy = false;
function link(part) {
  for (const item of part.querySelectorAll('[data-at]')) {
    const a = document.createElement('a');
    a.href = 'http://' + location.hostname + item.dataset.at;
    a.append(...item.childNodes);
    item.append(a);
  }
}
async function refresh() {
  if (busy || document.hidden) return;
  busy = true;
  let next = null;
  try {
    const response = await fetch(location.pathname, { cache: 'no-store' });
    const page = new DOMParser().parseFromString(await response.text(), 'text/html');
    if (response.ok) next = page.querySelector('main');
  } catch {}
  document.body.classList.toggle('old', next === null);
  if (next !== null) {
    link(next);
    document.querySelector('main').replaceWith(document.adoptNode(next));
  }
  busy = false;
}
link(document);
setTimeout(refresh, 2000);
setInterval(refresh, 5000);
document.addEventListener('visibilitychange', refresh);
`;

const hashOf = (text: string): string =>
  `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Nothing from elsewhere, no inline code but the two, no frame around the page. */
export const HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    `default-src 'none'; style-src ${hashOf(STYLE)}; script-src ${hashOf(SCRIPT)}; connect-src 'self'; ` +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};
