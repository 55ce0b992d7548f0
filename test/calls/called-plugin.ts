import type { Isolation } from '../../src/declare/declaration.ts';
import { connect, type PluginClient } from '../../src/rpc/client/client.ts';
import { declare, systemctl, untilWhole } from '../support/system.ts';
import { placeVersion } from '../upgrades/versions.ts';

/** A language of which there is an SDK: how its conformance target is run as a plugin. */
export interface Language {
  readonly language: string;
  readonly template: string;
  readonly exec: string;
  readonly isolation: Isolation;
}

export const LANGUAGES: readonly Language[] = [
  {
    language: 'python',
    template: 'python',
    exec: '/usr/bin/python3, test/conformance/targets/python.py',
    isolation: 'nspawn',
  },
  { language: 'node', template: 'node', exec: '/usr/bin/node, main.mjs', isolation: 'scope' },
  { language: 'c', template: 'native', exec: './main', isolation: 'nspawn' },
];

/** More than any call of these takes on a machine that is busy otherwise; ms. */
export const PATIENCE_MS = 30_000;

/** Installs the conformance target of a language as two equal versions of a plugin, starts it, and calls it. */
export async function startCalled(
  name: string,
  { language, template, exec, isolation }: Language,
  pool: { readonly size: number; readonly standby?: number },
  ...lines: readonly string[]
): Promise<PluginClient> {
  for (const version of ['v1', 'v2']) placeVersion(name, version, `calls/${language}`);
  const { size, standby = 0 } = pool;
  declare(name, [
    `template: ${template}`,
    'version: v1',
    `exec: [${exec}]`,
    `isolation: ${isolation}`,
    'rpc: {}',
    `pool: { size: ${size}, standby: ${standby} }`,
    'health: { ready: notify }',
    ...lines,
  ]);
  await systemctl('start', `plugin@${name}`);
  await untilWhole(name, size + standby);
  const client = connect(name, { waitMs: PATIENCE_MS, timeoutMs: PATIENCE_MS });
  await client.ready({ timeoutMs: PATIENCE_MS });
  return client;
}
