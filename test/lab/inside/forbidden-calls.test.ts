import assert from 'node:assert/strict';
import { cpSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { EventRecord } from '../../../src/control/api.ts';
import { forEachIsolation } from '../../support/isolation.ts';
import { declare, installExample, must, run, systemctl, uninstall, until } from '../../support/system.ts';

const NATIVE = fileURLToPath(new URL('../../../../native/', import.meta.url));

/** Twenty ways out that no profile leaves open: number on x86-64, on arm64. */
const FORBIDDEN: Readonly<Record<string, readonly [number, number]>> = {
  unshare: [272, 97],
  setns: [308, 268],
  mount: [165, 40],
  move_mount: [429, 429],
  pivot_root: [155, 41],
  chroot: [161, 51],
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  keyctl: [250, 219],
  userfaultfd: [323, 282],
  open_by_handle_at: [304, 265],
  kexec_load: [246, 104],
  finit_module: [313, 273],
  personality: [135, 92],
  setuid: [105, 146],
  seccomp: [317, 277],
  pidfd_getfd: [438, 438],
  reboot: [169, 142],
};
const NUMBERS = Object.values(FORBIDDEN).map(([x64, arm64]) => (process.arch === 'x64' ? x64 : arm64));

forEachIsolation('forbidden system calls', function (isolation) {
  this.timeout(180_000);
  const run36 = `${isolation}-${Date.now().toString(36)}`;

  function install(name: string, profile: string, command: string, restarts: number): void {
    mkdirSync(`/opt/plugin/${name}/v1`, { recursive: true, mode: 0o755 });
    cpSync(`${NATIVE}test/probe`, `/opt/plugin/${name}/v1/main`);
    declare(name, [
      // The core alone has no template: nobody would want less than a runtime needs.
      ...(profile === 'core' ? ['template: native', 'seccomp: core'] : [`template: ${profile}`]),
      'version: v1',
      `exec: [./main, ${command}]`,
      'recovery:',
      `  budget: { restarts: ${restarts}, within: 600s }`,
      '  backoff: { initial: 10ms, max: 20ms }',
      '  forbidden-syscall: [replace]',
      '  forbidden-exec: [replace]',
    ]);
  }

  async function deaths(name: string): Promise<EventRecord[]> {
    const lines = (await must('bulkheadctl', 'events', name, '--json')).trim().split('\n');
    return lines.map((line) => JSON.parse(line) as EventRecord).filter(({ kind }) => kind === 'died');
  }

  for (const profile of ['core', 'static', 'native', 'go', 'jvm', 'python', 'node']) {
    it(`${profile}: twenty of them, one after the other, are each named in events and journal`, async () => {
      const name = `calls-${profile}-${run36}`;
      // Each sandbox of the plugin makes the next call; the one after the last stays.
      install(name, profile, `call-in-turn, ${NUMBERS.map((number) => `"${number}"`).join(', ')}`, NUMBERS.length + 5);
      try {
        await run('systemctl', 'start', '--no-block', `plugin@${name}`);
        await until('all calls were made', async () => (await deaths(name)).length >= NUMBERS.length, 120_000);
        const names = Object.keys(FORBIDDEN);
        assert.deepEqual(
          (await deaths(name)).map(({ text }) => text),
          names.map((call) => `forbidden system call '${call}' (134)`),
        );
        await must('journalctl', '--sync');
        const entries = (await must('journalctl', '-o', 'json', `BULKHEAD_PLUGIN=${name}`, 'BULKHEAD_EVENT=died'))
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as Record<string, string>);
        assert.deepEqual(
          entries.map((entry) => entry.BULKHEAD_SYSCALL),
          names,
        );
        // A scope has no exit status; what init ended with is seen where it is a service's.
        const ended = await must('journalctl', '-o', 'json', '--output-fields=UNIT', 'EXIT_STATUS=134');
        for (const { unit } of await deaths(name))
          if (unit?.endsWith('.service')) assert.ok(ended.includes(JSON.stringify(unit)), `'${unit}' ended with 134`);
        // One thread made it: the process itself.
        for (const entry of entries) assert.equal(entry.BULKHEAD_SYSCALL_TID, entry.BULKHEAD_SYSCALL_PID);
      } finally {
        await uninstall(name);
      }
    });
  }

  it('static: the example in C serves under it, and ends in good order', async () => {
    const name = `static-${run36}`;
    installExample(name, 'c', ['template: static', 'version: v1', 'listen: [{ tcp: 127.0.0.1:9137 }]']);
    try {
      await systemctl('start', `plugin@${name}`);
      for (let n = 0; n < 20; n++) {
        const answer = await fetch('http://127.0.0.1:9137/', { method: 'POST', body: 'x'.repeat(n) });
        assert.match(await answer.text(), /^hello from c: POST/);
      }
      await systemctl('stop', `plugin@${name}`);
      assert.match(await must('bulkheadctl', 'events', name), /stopped: exit status 0/);
    } finally {
      await uninstall(name);
    }
  });

  it('a call by a child ends the plugin as failed, and its status says by which call', async () => {
    const name = `calls-child-${run36}`;
    install(name, 'native', `child-call, "${NUMBERS[6]}"`, 0);
    try {
      await run('systemctl', 'start', `plugin@${name}`);
      await until('it has failed', async () => (await run('systemctl', 'is-failed', `plugin@${name}`)).status === 0);
      const words = /forbidden system call 'ptrace' \(134\)/;
      assert.match((await run('systemctl', 'status', '-l', `plugin@${name}`)).stdout, words);
      assert.match((await run('bulkheadctl', 'status', name)).stdout, words);
      assert.match((await run('bulkheadctl', 'events', name)).stdout, words);
      const [died] = await deaths(name);
      // A scope has no main process whose status systemd would tell.
      if (isolation === 'scope') return;
      await must('journalctl', '--sync');
      const ended = await must('journalctl', '-o', 'json', `UNIT=${died?.unit}`, 'EXIT_CODE=exited');
      assert.match(ended, /"EXIT_STATUS":"134"/);
    } finally {
      await systemctl('reset-failed', `plugin@${name}`).catch(() => undefined);
      await uninstall(name);
    }
  });
});
