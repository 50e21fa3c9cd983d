/** The status page of the program as built: over HTTP, with hostile names, opened and closed by a reload. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { freePort } from '../../support/free-port.ts';
import { eventually } from '../../support/netns/netns.ts';
import { OperatedAgent } from '../../support/operator.ts';

const A = 1;
const port = await freePort();
const url = `http://127.0.0.1:${port}/`;
const agent = new OperatedAgent({ more: `reload 2s\n  status 127.0.0.1:${port}` });

before(() => agent.start());
after(() => agent.remove());

const isOpen = (): Promise<boolean> =>
  fetch(url).then(
    ({ status }) => status === 200,
    () => false,
  );

/** Replaces a part of the Corefile and has the agent read it. */
function reload(from: string, to: string): void {
  const before = readFileSync(agent.conf, 'utf8');
  assert.ok(before.includes(from));
  writeFileSync(agent.conf, before.replace(from, to));
}

describe('status page', () => {
  it('has the numbers, and names that are no HTML', async () => {
    await agent.query('<b>bold</b>.test', A).catch(() => undefined);
    let text = '';
    await eventually('the page has the name', async () => {
      await agent.query('<b>bold</b>.test', A);
      const response = await fetch(url);
      text = await response.text();
      assert.match(response.headers.get('content-security-policy') ?? '', /^default-src 'none'/);
      return text.includes('&lt;b&gt;bold&lt;/b&gt;.test. A');
    });
    assert.doesNotMatch(text, /<b>/);
    assert.match(text, /<dt>queries a second<\/dt><dd>\d/);
    assert.match(text, new RegExp(`127\\.0\\.0\\.1:${agent.port}`));
    assert.equal((await fetch(url, { method: 'POST' })).status, 405);
  });

  it('closes and opens with the configuration, also where the port was taken meanwhile', async () => {
    const line = `status 127.0.0.1:${port}`;
    reload(line, '');
    await eventually('the page is closed', async () => !(await isOpen()));
    const occupier = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => occupier.listen(port, '127.0.0.1', resolve));
    reload('errors\n', `errors\n  ${line}\n`);
    await eventually('the agent logs the taken port', () =>
      Promise.resolve(agent.log.includes('cannot open an admin port, will retry')),
    );
    assert.ok((await agent.query('neighbour.test', A)).length > 0, 'DNS is served');
    await new Promise((resolve) => occupier.close(resolve));
    await eventually('the page is open', isOpen);
  });
});
