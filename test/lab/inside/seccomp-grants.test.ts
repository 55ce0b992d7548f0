import assert from 'node:assert/strict';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { EventRecord } from '../../../src/control/api.ts';
import { declare, must, run, status, systemctl, uninstall, until, untilWhole } from '../../support/system.ts';

const PROGRAMS = fileURLToPath(new URL('../../../../native/test/', import.meta.url));

/** By grant: the call that ends a program that uses it without. */
const GRANTS: Readonly<Record<string, string>> = { keyring: 'add_key', perf: 'perf_event_open', ptrace: 'ptrace' };

/** What a declaration says about the filter, in real sandboxes: `allow`, `programs`, and profiles of one's own. */
describe('what a declaration says about system calls', function () {
  this.timeout(180_000);
  const run36 = Date.now().toString(36);

  function install(name: string, program: string, more: readonly string[]): void {
    mkdirSync(`/opt/plugin/${name}/v1`, { recursive: true, mode: 0o755 });
    cpSync(`${PROGRAMS}${program}`, `/opt/plugin/${name}/v1/main`);
    declare(name, ['template: native', 'version: v1', 'recovery: { budget: { restarts: 0 } }', ...more]);
  }

  async function said(name: string): Promise<string> {
    await must('journalctl', '--sync');
    return must('journalctl', '-o', 'cat', '-t', name);
  }

  async function causeOfDeath(name: string): Promise<string> {
    await until(
      `'${name}' has failed`,
      async () => (await run('systemctl', 'is-failed', `plugin@${name}`)).status === 0,
    );
    const lines = (await must('bulkheadctl', 'events', name, '--json')).trim().split('\n');
    return lines.map((line) => JSON.parse(line) as EventRecord).find(({ kind }) => kind === 'died')?.text ?? '';
  }

  for (const [grant, kind] of ['io_uring', ...Object.keys(GRANTS)].flatMap(
    (one) =>
      [
        [one, 'nspawn'],
        [one, 'scope'],
      ] as const,
  )) {
    it(`allow: [${grant}] (${kind}) works in the sandbox, all its other walls hold, and without it the program does not`, async () => {
      const name = `grant-${grant.replace('_', '-')}-${kind}-${run36}`;
      install(name, 'granted', [`isolation: ${kind}`, `exec: [./main, ${grant}, "600"]`, `allow: [${grant}]`]);
      try {
        await systemctl('start', `plugin@${name}`);
        await until('it says so', async () => (await said(name)).includes(`${grant} works`));
        assert.equal((await status(name)).seccomp, `native+${grant}`);
        const audited = await run('bulkheadctl', 'audit', name);
        assert.equal(audited.status, 0, audited.stdout);
        assert.ok((await must('bulkheadctl', 'plan', name)).includes(grant));
        await systemctl('stop', `plugin@${name}`);

        install(name, 'granted', [`isolation: ${kind}`, `exec: [./main, ${grant}, "600"]`]);
        await run('systemctl', 'start', `plugin@${name}`);
        const call = GRANTS[grant];
        assert.equal(
          await causeOfDeath(name),
          call === undefined ? 'exit status 1' : `forbidden system call '${call}' (134)`,
        );
      } finally {
        await uninstall(name);
      }
    });
  }

  it('programs: own: the program runs, all walls hold, and executing another one ends it by name', async () => {
    const name = `own-program-${run36}`;
    install(name, 'probe', ['exec: [./main, sleep, "600000"]', 'programs: own']);
    try {
      await systemctl('start', `plugin@${name}`);
      const audited = await run('bulkheadctl', 'audit', name);
      assert.equal(audited.status, 0, audited.stdout);
      await systemctl('stop', `plugin@${name}`);
      const getpid = process.arch === 'x64' ? '39' : '172';
      install(name, 'probe', [`exec: [./main, race-exec, "${getpid}"]`, 'programs: own']);
      await run('systemctl', 'start', `plugin@${name}`);
      assert.equal(await causeOfDeath(name), "forbidden system call 'execve' (134)");
    } finally {
      await uninstall(name);
    }
  });

  it('a profile in /etc/bulkhead/seccomp goes before the one of the package, and may include its lists', async () => {
    const name = `own-list-${run36}`;
    const list = '/etc/bulkhead/seccomp/go.list';
    // The package's `go` has no personality(2), which this program calls.
    const call = process.arch === 'x64' ? '135' : '92';
    install(name, 'probe', [`exec: [./main, call, "${call}", "0xffffffff"]`, 'seccomp: go']);
    try {
      writeFileSync(list, 'include runtime\npersonality arg0=0xffffffff # asks\n');
      await run('systemctl', 'start', `plugin@${name}`);
      assert.equal(await causeOfDeath(name), 'exit status 0');
      rmSync(list);
      await systemctl('reset-failed', `plugin@${name}`);
      await run('systemctl', 'start', `plugin@${name}`);
      await until('it dies of the call', async () =>
        (await run('bulkheadctl', 'events', name)).stdout.includes("forbidden system call 'personality' (134)"),
      );
      writeFileSync(list, 'reed # typing\n');
      await run('systemctl', 'reset-failed', `plugin@${name}`);
      const { stderr } = await run('bulkheadctl', 'start', name);
      const checked = await run('bulkheadctl', 'check', name);
      assert.equal(checked.status, 1);
      assert.match(checked.stdout, /^\/etc\/bulkhead\/seccomp\/go\.list:1:1: BH603 unknown system call 'reed'$/m);
      assert.match(stderr, /\/etc\/bulkhead\/seccomp\/go\.list:1:1: BH603 unknown system call 'reed'/);
    } finally {
      rmSync(list, { force: true });
      await uninstall(name);
    }
  });

  it('a fault in the list of one plugin leaves another one alone', async () => {
    const name = `beside-${run36}`;
    const list = '/etc/bulkhead/seccomp/faulty.list';
    install(name, 'probe', ['exec: [./main, sleep, "600000"]']);
    try {
      writeFileSync(list, 'nonsense\n');
      await systemctl('start', `plugin@${name}`);
      await untilWhole(name, 1);
    } finally {
      rmSync(list, { force: true });
      await uninstall(name);
    }
  });
});
