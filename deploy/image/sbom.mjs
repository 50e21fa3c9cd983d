/**
 * Prints what the image consists of, as CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/): nodens, the npm packages of its
 * bundle, Node with what is compiled into it, and Debian's packages.
 *
 *     node sbom.mjs PACKAGE.JSON THIRD-PARTY-LICENSES.txt ROOT
 *
 * ROOT is what collect.sh made.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [packageJson = '', licences = '', root = ''] = process.argv.slice(2);

/** @typedef {{ type: string, name: string, version: string, purl?: string, [field: string]: unknown }} Component */

/** @param {string} text */
const encoded = (text) => encodeURIComponent(text);

/** @returns {Component[]} The packages whose licences build.ts collected, which are those with code in the bundle. */
function npmComponents() {
  const titles = readFileSync(licences, 'utf8').matchAll(/^={80}\n(\S+) (\S+) \((.*)\)$/gm);
  return Array.from(titles, ([, name = '', version = '', license = '']) => ({
    ...{ type: 'library', name, version },
    purl: `pkg:npm/${name.replace('@', '%40')}@${encoded(version)}`,
    licenses: [/ /.test(license) ? { expression: license } : { license: { id: license } }],
  }));
}

/** @returns {Component} The Node that runs this, which is the image's. */
function nodeComponent() {
  const { node, modules: _abi, ...within } = process.versions;
  return {
    ...{ type: 'platform', name: 'node', version: node, purl: `pkg:generic/node@${node}` },
    cpe: `cpe:2.3:a:nodejs:node.js:${node}:*:*:*:*:*:*:*`,
    components: Object.entries(within).map(([name, version = '']) => ({
      ...{ type: 'library', name, version },
    })),
  };
}

/** @returns {Component[]} */
function debianComponents() {
  const release = readFileSync(join(root, 'etc/os-release'), 'utf8');
  const distro = `debian-${/^VERSION_ID="?([\d.]+)/m.exec(release)?.[1]}`;
  const statusFolder = join(root, 'var/lib/dpkg/status.d');
  return readdirSync(statusFolder)
    .sort()
    .map((file) => {
      const fields = new Map(
        Array.from(
          readFileSync(join(statusFolder, file), 'utf8').matchAll(/^([\w-]+): (.*)$/gm),
          ([, name = '', value = '']) => [name, value],
        ),
      );
      const [name = '', version = '', arch = ''] = ['Package', 'Version', 'Architecture'].map(
        (field) => fields.get(field),
      );
      const purl = `pkg:deb/debian/${encoded(name)}@${encoded(version)}?arch=${arch}&distro=${distro}`;
      return { type: 'library', name, version, purl };
    });
}

const { name, version } = JSON.parse(readFileSync(packageJson, 'utf8'));
const all = [...npmComponents(), nodeComponent(), ...debianComponents()];
const sbom = {
  ...{ bomFormat: 'CycloneDX', specVersion: '1.6', version: 1 },
  metadata: {
    component: {
      ...{ type: 'application', name, version, 'bom-ref': `${name}@${version}` },
      licenses: [{ license: { id: 'Apache-2.0' } }],
    },
  },
  components: all.map((component) => ({ ...component, 'bom-ref': component.purl })),
};
process.stdout.write(`${JSON.stringify(sbom, undefined, 1)}\n`);
