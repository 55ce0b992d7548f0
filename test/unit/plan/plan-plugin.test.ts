import assert from 'node:assert/strict';
import type { Listen } from '../../../src/declare/declaration.ts';
import { mountWords } from '../../../src/plan/box-command.ts';
import { digestText } from '../../../src/plan/digest.ts';
import { firstGate } from '../../../src/plan/gate.ts';
import { isListenerKeyOf, listenerKey } from '../../../src/plan/listener-key.ts';
import { mountOption } from '../../../src/plan/nspawn-command.ts';
import { planSandbox } from '../../../src/plan/plan-sandbox.ts';
import { PATHS as paths, planText as plan } from '../../support/plan-text.ts';

const BASE = 'version: v1\nexec: [./main]\n';

describe('digest', () => {
  it('is FNV-1a', () => {
    assert.equal(digestText(''), 'cbf29ce484222325');
    assert.equal(digestText('a'), 'af63dc4c8601ec8c');
    assert.equal(digestText('foobar'), '85944171f73967e8');
  });

  it('changes with what a sandbox is made of, and with nothing else', () => {
    const { digest } = plan(BASE);
    const same = [
      'description: x\n',
      'pool: { size: 4 }\n',
      'recovery: { budget: { restarts: 9 }, oom: [quarantine], risky: { from: 1:00, to: 2:00 } }\n',
      'schedule: [{ recycle: 1 1 * * * }]\n',
      'health: { heartbeat: 5s, request-timeout: 5s, spin: 5s, stopped: 5s }\n',
      'upgrade: { canary: [1%], bake: 5s, drain: 5s, surge: 1, check: [/usr/bin/true], judge: { deaths: 9 } }\n',
      'versions: { keep: 9 }\n',
      '# a comment\n',
    ];
    for (const more of same) assert.equal(plan(BASE + more).digest, digest, more);
    const onWhatRuns = [
      'limits: { tasks: 9 }\n',
      'limits: { memory: 1G }\n',
      'limits: { memory-high: 1% }\n',
      'limits: { swap: 1G }\n',
      'limits: { cpu: 10% }\n',
      'limits: { cpu-weight: 7 }\n',
      'limits: { io-weight: 7 }\n',
      'limits: { io: [{ path: /opt, read: 1M }] }\n',
    ].map((more) => plan(BASE + more));
    for (const changed of onWhatRuns) assert.equal(changed.digest, digest);
    const limits = [plan(BASE), ...onWhatRuns].map(({ limitsDigest }) => limitsDigest);
    assert.equal(new Set(limits).size, limits.length);
    const different = [
      'environment: { A: b }\n',
      'limits: { files: 99 }\n',
      'limits: { memory-lock: 1M }\n',
      'limits: { core: 1G }\n',
      'limits: { log: { messages: 9 } }\n',
      'listen: [{ tcp: 127.0.0.1:1 }]\n',
      'view: { tmp: 1M }\n',
      'stop: { signal: SIGINT }\n',
      'stop: { timeout: 1s }\n',
      'health: { start-timeout: 5s }\n',
      'health: { startup: { command: [./check] } }\n',
      'health: { liveness: { command: [./check] } }\n',
      'health: { liveness: { command: [./check], every: 2s } }\n',
      'listen: [{ tcp: 127.0.0.1:1 }]\nhealth: { readiness: { command: [./check] } }\n',
      'listen: [{ tcp: 127.0.0.1:1 }]\npool: { standby: 1 }\n',
      'capabilities: [CAP_KILL]\n',
      'isolation: scope\n',
    ];
    assert.equal(new Set([digest, ...different.map((more) => plan(BASE + more).digest)]).size, different.length + 1);
    assert.notEqual(plan(BASE.replace('v1', 'v2')).digest, digest);
    const [one, two] = [1, 2].map((count) => `${BASE}listen: [{ tcp: 127.0.0.1:1 }]\npool: { standby: ${count} }`);
    assert.equal(plan(one ?? '').digest, plan(two ?? '').digest);
  });
});

describe('a plugin that is upgraded in place', () => {
  const IN_PLACE = `${BASE}upgrade: { way: in-place }\n`;
  const inVersion = (version: string, more = '') => plan(IN_PLACE.replace('v1', version) + more);

  it('has the same digest for all versions, and another one for whatever else changes', () => {
    const { digest } = inVersion('v1');
    assert.equal(inVersion('v2').digest, digest);
    assert.notEqual(inVersion('v2', 'environment: { A: b }\n').digest, digest);
    assert.notEqual(inVersion('v2', 'stop: { signal: SIGINT }\n').digest, digest);
    assert.notEqual(plan(BASE).digest, digest);
    assert.equal(plan(`${IN_PLACE.replace('in-place', 'in-place, signal: SIGUSR1')}`).digest, digest);
  });

  it('sees its version through the tunnel of its slot', () => {
    for (const slot of ['a', 'b'] as const) {
      const { mounts, rootDirectory, init } = planSandbox(inVersion('v1'), { slot, generation: 1, uidBase: 0 }, paths);
      assert.deepEqual(
        mounts.filter(({ from }) => from === 'version' || from === 'upgrade.way'),
        [{ kind: 'slot', source: `/run/bulkhead/slot/x/${slot}`, target: '/run/slot', from: 'upgrade.way' }],
      );
      assert.equal(rootDirectory, '/run/bulkhead/root-in-place/x');
      assert.deepEqual(
        init.filter((word) => word.includes('v1')),
        [],
      );
      assert.ok(init.includes('/plugin/main'));
    }
  });
});

describe('planSandbox', () => {
  it('differs between generations in names and uids only', () => {
    const whole = plan(BASE);
    const first = planSandbox(whole, { slot: 'a', generation: 1, uidBase: 65536 }, paths);
    const second = planSandbox(whole, { slot: 'a', generation: 2, uidBase: 131072 }, paths);
    const changed = first.command.filter((word, index) => second.command[index] !== word);
    assert.deepEqual(changed, [
      'plugin-x-a-g1.service',
      '--machine=x-a-g1',
      '--bind=/run/bulkhead/activity/x/plugin-x-a-g1.service:/run/bulkhead/activity:norbind',
      '--private-users=65536:65536',
      '--env=BULKHEAD_SANDBOX=x-a-g1',
    ]);
    assert.deepEqual(planSandbox(whole, { slot: 'a', generation: 1, uidBase: 65536 }, paths), first);
  });

  it('escapes what nspawn would split', () => {
    const odd = planSandbox(plan(BASE), { slot: 'b', generation: 1, uidBase: 0 }, { ...paths, lib: '/usr/lib/a:b\\c' });
    assert.ok(odd.command.includes('--bind-ro=/usr/lib/a\\:b\\\\c/plugin-init:/run/plugin-init'));
  });
});

describe('mountWords', () => {
  it('says each kind of mount in the words of the spawner', () => {
    const common = { target: '/t', from: undefined };
    assert.deepEqual(
      [
        mountWords({ ...common, kind: 'bind-ro', source: '/s' }),
        mountWords({ ...common, kind: 'slot', source: '/s' }),
        mountWords({ ...common, kind: 'bind', source: '/s' }),
        mountWords({ ...common, kind: 'bind-file', source: '/s' }),
        mountWords({ ...common, kind: 'tmpfs', size: 65536, mode: 0o700 }),
        mountWords({ ...common, kind: 'device', source: '/dev/s', access: 'rw' }),
      ],
      [
        ['--bind-ro', '/s', '/t'],
        ['--slot', '/s', '/t'],
        ['--bind', '/s', '/t'],
        ['--bind-file', '/s', '/t'],
        ['--tmpfs', '/t', '65536', '0700'],
        ['--device', '/dev/s', '/t'],
      ],
    );
  });
});

describe('mountOption', () => {
  it('says each kind of mount in the words of nspawn', () => {
    const common = { target: '/t', from: undefined };
    assert.deepEqual(
      [
        mountOption({ ...common, kind: 'bind-ro', source: '/s' }),
        mountOption({ ...common, kind: 'slot', source: '/s' }),
        mountOption({ ...common, kind: 'bind', source: '/s' }),
        mountOption({ ...common, kind: 'bind-file', source: '/s:1' }),
        mountOption({ ...common, kind: 'tmpfs', size: 65536, mode: 0o700 }),
        mountOption({ ...common, kind: 'device', source: '/dev/s', access: 'rw' }),
      ],
      [
        '--bind-ro=/s:/t',
        '--bind-ro=/s:/t',
        '--bind=/s:/t:idmap',
        '--bind=/s\\:1:/t:norbind',
        '--tmpfs=/t:nosuid,nodev,mode=0700,size=65536,nr_inodes=1024',
        '--bind-ro=/dev/s:/t',
      ],
    );
  });
});

describe('listenerKey', () => {
  const unix = (path: string): Listen => ({
    kind: 'unix',
    path,
    name: 'n',
    backlog: 1,
    mode: 0o600,
    user: 'root',
    group: 'root',
  });

  it('is a valid name for the fd store', () => {
    const listens: Listen[] = [
      { kind: 'tcp', host: '2001:db8::1', port: 65535, name: 'n', backlog: 1 },
      unix('/run/ä:\\ b.sock'),
      unix(`/${'ü'.repeat(53)}`),
    ];
    for (const listen of listens) {
      const key = listenerKey('p'.repeat(48), listen);
      assert.match(key, /^[\x20-\x39\x3b-\x7e]{1,255}$/);
      assert.ok(isListenerKeyOf('p'.repeat(48), key));
    }
  });

  it('tells addresses and plugins apart', () => {
    const keys = [unix('/a'), unix('/a:'), unix('/a\\x3a'), unix(`/${'ü'.repeat(53)}`), unix(`/${'ö'.repeat(53)}`)].map(
      (listen) => listenerKey('p', listen),
    );
    assert.equal(new Set(keys).size, keys.length);
    assert.equal(isListenerKeyOf('p', 'pq/tcp/127.0.0.1/1'), false);
  });
});

describe('the gate', () => {
  const LISTEN = 'seccomp: native\nlisten: [{ tcp: 127.0.0.1:8081 }]\n';
  const TO = 'seccomp: native\nlisten: [{ tcp: 127.0.0.1:8081, to: 80 }]\n';
  const READINESS = 'health: { readiness: { http: / } }\n';
  const identity = { slot: 'a', generation: 1, uidBase: 65536 } as const;
  const options = (text: string, more: object = {}): string[] =>
    planSandbox(plan(BASE + text), { ...identity, ...more }, paths).init.filter((word) =>
      /^--(gate|seccomp)=/.test(word),
    );

  it('is there for those who may be without traffic, and nobody else', () => {
    assert.deepEqual(options(LISTEN), []);
    assert.deepEqual(options(`${LISTEN}pool: { standby: 1 }\n`), ['--gate=open']);
    assert.deepEqual(options(`${LISTEN}pool: { standby: 1 }\n`, { gate: 'held' }), ['--gate=held']);
    assert.deepEqual(options(LISTEN + READINESS), ['--gate=open']);
    assert.deepEqual(options(`${TO}pool: { standby: 1 }\n`), ['--gate=open']);
    assert.deepEqual(options(`${LISTEN}pool: { standby: 1 }\n`, { learning: true }), ['--seccomp=learn']);
  });

  it('changes the filter where the program takes connections itself', () => {
    assert.equal(plan(BASE + LISTEN).seccomp, 'native');
    assert.equal(plan(`${BASE}${LISTEN}pool: { standby: 1 }\n`).seccomp, 'native+gate');
    assert.equal(plan(`${BASE}${LISTEN}allow: [ptrace, keyring]\n${READINESS}`).seccomp, 'native+gate+keyring+ptrace');
    assert.equal(plan(`${BASE}${TO}pool: { standby: 1 }\n`).seccomp, 'native');
    const learning = planSandbox(plan(BASE + LISTEN + READINESS), { ...identity, learning: true }, paths);
    assert.equal(learning.seccomp, 'learn');
  });

  it('is held at first for a standby, and for whoever is asked first whether it is ready', () => {
    const gateOf = (text: string, standby: boolean) => firstGate(plan(BASE + text).declaration, standby);
    assert.equal(gateOf(LISTEN, false), undefined);
    assert.equal(gateOf(`${LISTEN}pool: { standby: 1 }\n`, false), 'open');
    assert.equal(gateOf(`${LISTEN}pool: { standby: 1 }\n`, true), 'held');
    assert.equal(gateOf(LISTEN + READINESS, false), 'held');
  });

  it('leaves the digest the same for standbys and those that serve', () => {
    const text = `${BASE}${LISTEN}pool: { standby: 1 }\n`;
    const digest = (gate: 'open' | 'held') => planSandbox(plan(text), { ...identity, gate }, paths).digest;
    assert.equal(digest('held'), digest('open'));
    assert.notEqual(plan(text).digest, plan(BASE + LISTEN).digest);
  });
});
