import assert from 'node:assert/strict';
import { DOCTOR_CHECKS, type DoctorFacts, examine } from '../../../src/control/doctor-checks.ts';
import { runCommandLine } from '../../../src/control/run.ts';
import { VERBS } from '../../../src/control/verb-table.ts';
import { FakeWorld } from './support/fake-world.ts';
import { healthyFacts } from './support/healthy-facts.ts';

const space = { path: '/run', freeBytes: 2 ** 30, totalBytes: 2 ** 31, freeInodes: 9999, totalInodes: 20_000 };

function core(pattern: string, collector: boolean) {
  return { known: { pattern, collector } };
}

/** What is wrong -> which check must say so, how loudly, and with which words. */
const CASES: [string, Partial<DoctorFacts>, string, 'warning' | 'error', RegExp][] = [
  ['PID 1 is something else', { init: { known: 'firecracker' } }, 'init', 'error', /PID 1 is 'firecracker'/],
  ['systemd is old', { systemdVersion: { known: 251 } }, 'systemd', 'error', /251 is older than 252/],
  ['the kernel is old', { kernel: { known: '5.9.16' } }, 'kernel', 'error', /older than 5\.10/],
  ['hybrid cgroups', { cgroups: { known: 'hybrid' } }, 'cgroups', 'error', /hybrid/],
  ['cgroups of version 1', { cgroups: { known: 'legacy' } }, 'cgroups', 'error', /version 1/],
  [
    'no pids controller',
    { controllers: { known: ['cpu', 'io', 'memory'] } },
    'controllers',
    'warning',
    /limits\.tasks is not enforced/,
  ],
  [
    'no controller at all',
    { controllers: { known: [] } },
    'controllers',
    'warning',
    /memory is missing.*io is missing/,
  ],
  ['no user namespaces', { maxUserNamespaces: { known: 0 } }, 'user namespaces', 'error', /no sandbox can start/],
  ['few user namespaces', { maxUserNamespaces: { known: 3 } }, 'user namespaces', 'warning', /only 3/],
  [
    'user namespaces refused',
    { userNamespaceTrial: { known: { worked: false, text: 'EPERM' } } },
    'user namespace trial',
    'error',
    /EPERM/,
  ],
  ['no nspawn', { nspawn: { known: null } }, 'nspawn', 'error', /not installed/],
  ['nspawn fails', { nspawnTrial: { known: { worked: false, text: 'boom' } } }, 'sandbox trial', 'error', /boom/],
  ['no seccomp', { seccompActions: { known: null } }, 'seccomp', 'error', /no seccomp/],
  ['no kill_process', { seccompActions: { known: ['errno'] } }, 'seccomp', 'error', /kill_process/],
  ['addon broken', { addon: { known: { worked: false, text: 'no such file' } } }, 'addon', 'error', /no such file/],
  ['no bus', { systemBus: { known: { worked: false, text: 'refused' } } }, 'system bus', 'error', /refused/],
  ['no polkit', { polkit: { known: false } }, 'polkit', 'warning', /only root/],
  ['no supervisor', { supervisor: { known: { failure: 'gone' } } }, 'supervisor', 'error', /gone/],
  ['another version runs', { supervisor: { known: { version: '0.0.9' } } }, 'supervisor', 'warning', /0\.0\.9 answers/],
  [
    'a file is missing',
    { installation: { known: [{ path: '/usr/lib/x', present: false }] } },
    'installation',
    'error',
    /\/usr\/lib\/x/,
  ],
  [
    'a mistake in bulkhead.yaml',
    { configuration: { known: { files: ['x'], problems: ['x:1:1: BH102 a', 'x:2:1: BH102 b'] } } },
    'configuration',
    'error',
    /not taken: x:1:1: BH102 a \(and 1 more\)/,
  ],
  ['disk full', { space: { known: [{ ...space, freeBytes: 1024 }] } }, 'space', 'warning', /\/run has 1K free/],
  ['no inodes', { space: { known: [{ ...space, freeInodes: 3 }] } }, 'space', 'warning', /3 inodes/],
  ['core dumps thrown away', { corePattern: core('', true) }, 'core dumps', 'warning', /thrown away/],
  ['core dumps to files', { corePattern: core('core', true) }, 'core dumps', 'warning', /read-only sandbox/],
  [
    'nobody collects core dumps',
    { corePattern: core('|/usr/lib/systemd/systemd-coredump', false) },
    'core dumps',
    'warning',
    /is not installed: incidents of crashes have no core dump/,
  ],
  [
    'a crash kernel that is not loaded',
    { kdump: { known: { loaded: false, reservedBytes: 2 ** 28 } } },
    'kdump',
    'warning',
    /256M are reserved, but no kernel is loaded/,
  ],
  ['no crash kernel', { kdump: { known: { loaded: false, reservedBytes: 0 } } }, 'kdump', 'warning', /no memory/],
  ['no PSI', { pressure: { known: false } }, 'pressure', 'warning', /PSI/],
  ['no cgroup.kill', { cgroupFiles: { known: ['cgroup.freeze'] } }, 'cgroup files', 'error', /cgroup\.kill is missing/],
  ['no cgroup.freeze', { cgroupFiles: { known: ['cgroup.kill'] } }, 'cgroup files', 'warning', /step freeze/],
  [
    'safe mode',
    { safeMode: { known: 'turned on by me' } },
    'safe mode',
    'warning',
    /no plugin starts: turned on by me/,
  ],
  ['clock years behind', { clock: { known: { now: 0, synchronised: true } } }, 'clock', 'warning', /behind/],
  [
    'clock drifts',
    { clock: { known: { now: 1_795_000_000_000, synchronised: false } } },
    'clock',
    'warning',
    /synchronised/,
  ],
];

describe('doctor', () => {
  it('finds nothing on a healthy host', () => {
    for (const finding of examine(healthyFacts()))
      assert.equal(finding.verdict, 'ok', `${finding.check}: ${finding.text}`);
  });

  for (const [what, changes, check, verdict, words] of CASES) {
    it(`${verdict}: ${what}`, () => {
      const bad = examine(healthyFacts(changes)).filter((finding) => finding.verdict !== 'ok');
      assert.deepEqual(
        bad.map((finding) => [finding.check, finding.verdict]),
        [[check, verdict]],
      );
      assert.match(bad[0]?.text ?? '', words);
      assert.ok((bad[0]?.advice ?? '').length > 0, 'a complaint without advice');
    });
  }

  it('covers every check that can complain by a case above', () => {
    const silent = new Set(['filters', 'state quotas', 'tcp_migrate_req']);
    const covered = new Set(CASES.map(([, , check]) => check));
    assert.deepEqual(
      DOCTOR_CHECKS.map(({ name }) => name).filter((name) => !covered.has(name) && !silent.has(name)),
      [],
    );
  });

  it('keeps what could not be looked at apart from what is wrong', () => {
    const [finding] = examine(healthyFacts({ init: { unknown: 'permission denied' } }));
    assert.deepEqual(finding, { check: 'init', verdict: 'unknown', text: 'permission denied' });
  });

  it('accepts inode-less file systems and kernels without migrate_req', () => {
    const facts = healthyFacts({
      space: { known: [{ ...space, freeInodes: 0, totalInodes: 0 }] },
      tcpMigrateReq: { known: null },
    });
    assert.ok(examine(facts).every(({ verdict }) => verdict === 'ok'));
  });

  it('ends with 1 for an error, 0 for warnings, and prints both ways', async () => {
    const world = new FakeWorld();
    world.facts = healthyFacts({ polkit: { known: false } });
    assert.equal(await runCommandLine(['doctor'], VERBS, world), 0);
    assert.match(world.out.text, /warning {2}polkit: not installed/);
    assert.match(world.out.text, new RegExp(`\\nok ${DOCTOR_CHECKS.length - 1}, warning 1, error 0, unknown 0\\n$`));
    world.facts = healthyFacts({ nspawn: { known: null } });
    world.out.text = '';
    assert.equal(await runCommandLine(['doctor', '--json'], VERBS, world), 1);
    assert.equal(JSON.parse(world.out.text).length, DOCTOR_CHECKS.length);
  });
});
