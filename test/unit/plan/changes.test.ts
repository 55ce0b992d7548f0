import assert from 'node:assert/strict';
import { FAILURE_CLASS_NAMES } from '../../../src/base/failure-class.ts';
import { isSetting, KEYS } from '../../../src/declare/keys.ts';
import { type ChangeWay, changeText, planChanges, reloadWay } from '../../../src/plan/changes.ts';
import type { PluginPlan } from '../../../src/plan/plan.ts';
import { planText } from '../../support/plan-text.ts';

const BASE = 'version: v1\nexec: [./main]\n';

/** For each key that can be said: what is added to the declaration, and how a reload applies that. */
const CASES: readonly (readonly [more: string, key: string, way: ChangeWay])[] = [
  ['description: x', 'description', 'now'],
  ['environment: { A: b }', 'environment.A', 'beside'],
  ['listen: [{ tcp: 127.0.0.1:1 }]', 'listen', 'beside'],
  ['rpc: {}', 'rpc', 'beside'],
  ['rpc: { mode: 0600 }', 'rpc', 'beside'],
  ['network: host', 'network', 'beside'],
  ['network: { egress: [10.0.0.1:80] }', 'network', 'beside'],
  ['pool: { size: 3 }', 'pool.size', 'now'],
  ['view: { root: /srv/root }', 'view.root', 'beside'],
  ['view: { tmp: 1M }', 'view.tmp', 'beside'],
  ['view: { tmpfs: [{ path: /srv/x }] }', 'view.tmpfs', 'beside'],
  ['isolation: scope', 'isolation', 'beside'],
  ['state: { path: /srv/state, quota: 1G }', 'state.quota state.path', 'beside'],
  ['credentials: { tls: { path: /etc/key } }', 'credentials.tls', 'beside'],
  ['devices: [{ path: /dev/nvidia0 }]', 'devices', 'beside'],
  ['seccomp: node', 'seccomp', 'beside'],
  ['allow: [ptrace]', 'allow', 'beside'],
  ['programs: own', 'programs', 'beside'],
  ['capabilities: [CAP_KILL]', 'capabilities', 'beside'],
  ['limits: { memory: 1G, memory-high: 512M }', 'limits.memory limits.memory-high', 'live'],
  ['limits: { memory-high: 1% }', 'limits.memory-high', 'live'],
  ['limits: { swap: 1G }', 'limits.swap', 'live'],
  ['limits: { cpu: 10% }', 'limits.cpu', 'live'],
  ['limits: { cpu-weight: 7 }', 'limits.cpu-weight', 'live'],
  ['limits: { tasks: 9 }', 'limits.tasks', 'live'],
  ['limits: { io-weight: 7 }', 'limits.io-weight', 'live'],
  ['limits: { io: [{ path: /opt, read: 1M }] }', 'limits.io', 'live'],
  ['limits: { files: 99 }', 'limits.files', 'beside'],
  ['limits: { memory-lock: 1M }', 'limits.memory-lock', 'beside'],
  ['limits: { core: 1G }', 'limits.core', 'beside'],
  ['limits: { log: { messages: 9 } }', 'limits.log', 'beside'],
  ['limits: { log: { within: 9s } }', 'limits.log', 'beside'],
  [
    'kind: stdio\nlisten: [{ tcp: 127.0.0.1:1 }]',
    'health.ready kind listen stdio.connections stdio.message stdio.process stdio.protocol',
    'beside',
  ],
  ['health: { ready: notify }', 'health.ready', 'beside'],
  ['health: { start-timeout: 5s }', 'health.start-timeout', 'beside'],
  ['health: { heartbeat: 5s }', 'health.heartbeat', 'now'],
  ['health: { request-timeout: 5s }', 'health.request-timeout', 'now'],
  ['health: { spin: 5s }', 'health.spin', 'now'],
  ['health: { stopped: 5s }', 'health.stopped', 'now'],
  ['health: { startup: { command: [./check] } }', 'health.startup', 'beside'],
  ['health: { liveness: { command: [./check] } }', 'health.liveness', 'beside'],
  ['stop: { signal: SIGINT }', 'stop.signal', 'beside'],
  ['stop: { timeout: 1s }', 'stop.timeout', 'beside'],
  ['recovery: { backoff: { initial: 1s } }', 'recovery.backoff.initial', 'now'],
  ['recovery: { backoff: { max: 1min } }', 'recovery.backoff.max', 'now'],
  ['recovery: { backoff: { factor: 3 } }', 'recovery.backoff.factor', 'now'],
  ['recovery: { backoff: { jitter: 1% } }', 'recovery.backoff.jitter', 'now'],
  ['recovery: { backoff: { reset: 1s } }', 'recovery.backoff.reset', 'now'],
  ['recovery: { budget: { restarts: 9 } }', 'recovery.budget.restarts', 'now'],
  ['recovery: { budget: { within: 9s } }', 'recovery.budget.within', 'now'],
  ...FAILURE_CLASS_NAMES.map((name) => [`recovery: { ${name}: [freeze] }`, `recovery.${name}`, 'now'] as const),
  ['recovery: { risky: { from: 1:00, to: 2:00 } }', 'recovery.risky', 'now'],
  ['upgrade: { way: in-place }', 'upgrade.way upgrade.signal', 'beside'],
  ['upgrade: { canary: [] }', 'upgrade.canary', 'now'],
  ['upgrade: { bake: 9s }', 'upgrade.bake', 'now'],
  ['upgrade: { drain: 9s }', 'upgrade.drain', 'now'],
  ['upgrade: { surge: 1 }', 'upgrade.surge', 'now'],
  ['upgrade: { check: [/usr/bin/true] }', 'upgrade.check', 'now'],
  ['upgrade: { judge: { samples: 9 } }', 'upgrade.judge.samples', 'now'],
  ['upgrade: { judge: { few: rollback } }', 'upgrade.judge.few', 'now'],
  ['upgrade: { judge: { few: wait, wait-most: 9s } }', 'upgrade.judge.few', 'now'],
  ['upgrade: { judge: { errors: 9% } }', 'upgrade.judge.errors', 'now'],
  ['upgrade: { judge: { latency: infinity } }', 'upgrade.judge.latency', 'now'],
  ['upgrade: { judge: { memory: 9% } }', 'upgrade.judge.memory', 'now'],
  ['upgrade: { judge: { deaths: 9 } }', 'upgrade.judge.deaths', 'now'],
  [
    'upgrade: { judge: { metrics: { port: 1, path: /m, requests: r, errors: e, latency: l } } }',
    'upgrade.judge.metrics',
    'beside',
  ],
  ['versions: { keep: 9 }', 'versions.keep', 'now'],
  ['schedule: [{ recycle: 1 1 * * * }]', 'schedule[0]', 'now'],
];

describe('changes between two plans', () => {
  const before = planText(BASE);

  it('are none when nothing differs', () => {
    assert.deepEqual(planChanges(before, planText(`# the same\n${BASE}`)), []);
    assert.equal(reloadWay([]), undefined);
  });

  for (const [more, keys, way] of CASES)
    it(`are applied ${way} for ${more}`, () => {
      const after = planText(`${BASE}${more}\n`);
      for (const changes of [planChanges(before, after), planChanges(after, before)])
        assert.deepEqual([changes.map(({ key }) => key).sort(), reloadWay(changes)], [keys.split(' ').sort(), way]);
      assert.equal(before.digest === after.digest, way !== 'beside');
    });

  it('are told for every key of a declaration', () => {
    const known = CASES.flatMap(([, keys]) => keys.split(' ')).map((key) => key.replace(/\[\d+\]/, ''));
    const settings = KEYS.filter(isSetting).map(({ key }) => key);
    const isTold = (key: string) =>
      known.some((each) => `${each}.`.startsWith(`${key}.`) || key.startsWith(`${each}.`));
    assert.deepEqual(
      settings.filter((key) => !isTold(key) && !key.startsWith('health.readiness.')),
      // In other tests here, or told with the key to which they belong.
      [
        'template',
        'version',
        'exec',
        'pool.standby',
        'recovery.default',
        'upgrade.judge.wait-most',
        'upgrade.check-timeout',
      ],
    );
  });

  it('say how much is needed for all of them together', () => {
    const way = (more: string) => reloadWay(planChanges(before, planText(BASE + more)));
    assert.equal(way('pool: { size: 2 }\nlimits: { tasks: 9 }\n'), 'live');
    assert.equal(way('pool: { size: 2 }\nlimits: { tasks: 9 }\nenvironment: { A: b }\n'), 'beside');
  });

  it('of a version are applied in place only where nothing else of a sandbox changes', () => {
    const inPlace = (version: string, more = '') =>
      planText(`version: ${version}\nexec: [./main]\nupgrade: { way: in-place }\n${more}`);
    const ways = (one: PluginPlan, other: PluginPlan) => planChanges(one, other).map(({ key, way }) => `${key} ${way}`);
    assert.deepEqual(ways(before, planText(BASE.replace('v1', 'v2'))), ['version beside']);
    assert.deepEqual(ways(inPlace('v1'), inPlace('v2')), ['version in-place']);
    assert.deepEqual(ways(inPlace('v1'), inPlace('v2', 'limits: { tasks: 9 }\n')), [
      'version in-place',
      'limits.tasks live',
    ]);
    assert.deepEqual(ways(inPlace('v1'), inPlace('v2', 'environment: { A: b }\n')), [
      'version beside',
      'environment.A beside',
    ]);
    assert.deepEqual(ways(planText(BASE), inPlace('v2')), [
      'version beside',
      'upgrade.way beside',
      'upgrade.signal now',
    ]);
  });

  it('are told of what is declared together', () => {
    const served = `${BASE}listen: [{ tcp: 127.0.0.1:1 }]\n`;
    const keys = (more: string, less = '') =>
      planChanges(planText(served + less), planText(served + more)).map(({ key, way }) => `${key} ${way}`);
    assert.deepEqual(keys('health: { readiness: { tcp: true } }\n'), ['health.readiness beside']);
    const checked = (timeout: string) => `upgrade: { check: [/usr/bin/true], check-timeout: ${timeout} }\n`;
    assert.deepEqual(keys(checked('1s'), checked('2s')), ['upgrade.check now']);
    const called = (word: string) => planText(`exec: [/usr/bin/true, ${word}]\n`);
    assert.deepEqual(planChanges(called('one'), called('two')).map(changeText), [
      'exec: /usr/bin/true one becomes /usr/bin/true two; a reload starts new sandboxes beside the old ones',
    ]);
  });

  it('take no new sandbox for more standbys, but for the first', () => {
    const standbys = (count: number) =>
      planText(`${BASE}listen: [{ tcp: 127.0.0.1:1 }]\npool: { standby: ${count} }\n`);
    assert.equal(reloadWay(planChanges(standbys(0), standbys(1))), 'beside');
    assert.equal(reloadWay(planChanges(standbys(1), standbys(2))), 'now');
  });

  it('are there when a file changes that is declared', () => {
    const secret = (stamp: string) => planText(`${BASE}credentials: { tls: { path: /etc/key } }\n`, () => stamp);
    assert.deepEqual(planChanges(secret('one'), secret('two')).map(changeText), [
      'credentials.tls: /etc/key becomes /etc/key, changed in itself; a reload starts new sandboxes beside the old ones',
    ]);
  });

  it('are there when sandboxes differ in what no key tells', () => {
    const made = { ...before, digest: '0123456789abcdef' };
    assert.deepEqual(planChanges(made, before).map(changeText), [
      `digest: 0123456789abcdef becomes ${before.digest}; a reload starts new sandboxes beside the old ones`,
    ]);
  });

  it('are told in words', () => {
    const texts = (more: string) => planChanges(before, planText(BASE + more)).map(changeText);
    assert.deepEqual(texts('pool: { size: 2 }\n'), ['pool.size: 1 becomes 2; a reload puts it in force at once']);
    assert.deepEqual(texts('limits: { tasks: 9 }\n'), ['limits.tasks: 50 becomes 9; a reload sets it on what runs']);
    assert.deepEqual(texts('environment: { A: b }\n'), [
      'environment.A: is b now; a reload starts new sandboxes beside the old ones',
    ]);
    assert.deepEqual(planChanges(planText(`${BASE}environment: { A: b }\n`), before).map(changeText), [
      'environment.A: b is gone; a reload starts new sandboxes beside the old ones',
    ]);
  });
});
