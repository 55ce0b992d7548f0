import assert from 'node:assert/strict';
import type { Isolation } from '../../src/declare/declaration.ts';
import { describeLosses, ExactLoad, type ExactLoadOptions } from '../support/exact-load.ts';
import { declare, sandboxUnits, status, systemctl, uninstall, untilWhole } from '../support/system.ts';
import { placeVersion, upgrade } from './versions.ts';

/** Of all languages together. `BULKHEAD_UPGRADES=200 BULKHEAD_REQUESTS=1000000` for what is promised (docs/hacking.md). */
const UPGRADES = Number(process.env.BULKHEAD_UPGRADES ?? 12);
const REQUESTS = Number(process.env.BULKHEAD_REQUESTS ?? 12_000);
/** A load that is to find losses has no pauses; one that shares its machine with other tests has some. */
const THINK_MS: readonly [number, number] = REQUESTS > 100_000 ? [0, 2] : [2, 20];
const PATIENCE_MS = 3_600_000;
const SIZE = 2;

const LANGUAGES = [
  { language: 'python', template: 'python', port: 9501 },
  { language: 'node', template: 'node', port: 9503 },
  { language: 'c', template: 'native', port: 9505 },
] as const;

interface Subject {
  readonly name: string;
  readonly from: string;
  readonly template: string;
  readonly port: number;
  readonly isolation: Isolation;
  readonly protocol: 'http' | 'raw';
}

function install({ name, from, template, port, isolation }: Subject): void {
  for (const version of ['v1', 'v2']) placeVersion(name, version, from);
  declare(name, [
    `template: ${template}`,
    'version: v1',
    'listen:',
    `  - tcp: 127.0.0.1:${port}`,
    `  - { unix: /run/plugin/${name}.sock, mode: "0666" }`,
    `pool: { size: ${SIZE} }`,
    // What others do to the time that requests take on this machine says nothing of the new version.
    'upgrade: { canary: [30%], bake: 1s, drain: 30s, judge: { errors: 0%, latency: infinity, memory: infinity } }',
    `isolation: ${isolation}`,
  ]);
}

/** Clients that connect for each request and clients that stay, over TCP and over the file system. */
function loadsOn({ name, port, protocol }: Subject): (ExactLoadOptions & { readonly title: string })[] {
  return [`127.0.0.1:${port}`, `unix:/run/plugin/${name}.sock`].flatMap((to) =>
    [false, true].map((keepAlive) => ({
      title: `${protocol}${keepAlive ? ', keep-alive' : ''}, ${to}`,
      ...{ to, protocol, keepAlive, connections: 4, thinkMs: THINK_MS },
    })),
  );
}

describe(`${UPGRADES} upgrades, back and forth, under load`, function () {
  this.timeout(PATIENCE_MS);

  for (const { language, template, port } of LANGUAGES)
    it(`lose no request of plugins in ${language}`, async () => {
      const shared = { template, protocol: 'http', isolation: 'nspawn' } as const;
      const subjects: readonly Subject[] = [
        { ...shared, name: `lossless-${language}`, from: `examples/hello-${language}`, port },
        {
          ...shared,
          name: `echoing-${language}`,
          from: `echo/${language}`,
          port: port + 1,
          protocol: 'raw',
          isolation: 'scope',
        },
      ];
      const loads: { readonly title: string; readonly load: ExactLoad }[] = [];
      try {
        for (const subject of subjects) {
          install(subject);
          await systemctl('start', `plugin@${subject.name}`);
          await untilWhole(subject.name, SIZE);
          for (const { title, ...options } of loadsOn(subject)) loads.push({ title, load: new ExactLoad(options) });
        }
        const each = async (count: number) =>
          void (await Promise.all(loads.map(({ load }) => load.more(count, PATIENCE_MS))));
        const rounds = Math.ceil(UPGRADES / LANGUAGES.length / subjects.length);
        await each(20);
        for (let round = 0; round < rounds; round++) {
          const version = round % 2 === 0 ? 'v2' : 'v1';
          // Several plugins may be upgraded at once.
          await Promise.all(
            subjects.map(async ({ name }) => {
              const { outcome, reason } = await upgrade(name, version);
              assert.deepEqual({ outcome, reason }, { outcome: 'promoted', reason: null }, `${name}, round ${round}`);
              assert.equal((await status(name)).version, version);
            }),
          );
          await each(20);
        }
        const quota = REQUESTS / LANGUAGES.length / loads.length;
        for (const { load } of loads) await load.more(Math.max(0, quota - load.good), PATIENCE_MS);
        for (const { title, load } of loads) {
          const account = await load.stop();
          assert.equal(
            account.lost,
            0,
            `${title}: ${account.lost} of ${account.asked} lost\n${describeLosses(account)}`,
          );
          // One that was ended while it rested would have been lost, had its client asked in that moment.
          assert.equal(account.idleEnds, 0, `${title}: connections that rested were ended`);
          assert.equal(account.good, account.asked);
        }
        for (const { name } of subjects) {
          const ready = await untilWhole(name, SIZE);
          assert.deepEqual(
            (await sandboxUnits(name)).sort(),
            ready.map(({ unit }) => unit).sort(),
            'nothing is left over',
          );
        }
      } finally {
        for (const { load } of loads) load.release();
        for (const { name } of subjects) await uninstall(name);
      }
    });
});
