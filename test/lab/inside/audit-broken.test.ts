import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import type { Wall } from '../../../src/audit/finding.ts';
import { CGROUP_ROOT } from '../../../src/kernel/cgroup.ts';
import { parseSandboxUnit } from '../../../src/plan/identity.ts';
import { forEachIsolation } from '../../support/isolation.ts';
import { pause } from '../../support/load.ts';
import { must, run, systemctl, until, untilWhole } from '../../support/system.ts';
import { audit, expectWhole, removeAll, startAll, TAKER, TAKER_SOCKET, wrong } from './audit-lab.ts';

const LIST = '/usr/lib/bulkhead/seccomp/native.list';

/** The one sandbox of audit-c. */
interface Sandbox {
  readonly init: number;
  readonly main: number;
  readonly unit: string;
  readonly payload: string;
}

async function learn(): Promise<Sandbox> {
  const [sandbox] = (await audit('audit-c')).report.sandboxes;
  assert.ok(sandbox !== undefined);
  const { initPid, payloadPid, unit } = sandbox;
  const group = parseSandboxUnit(unit)?.isolation === 'nspawn' ? '/payload' : '';
  const payload = `/plugin.slice/plugin-audit\\x2dc.slice/${unit}${group}`;
  return { init: initPid ?? 0, main: payloadPid ?? 0, unit, payload };
}

/** Every finding that is not good must be of these walls, and each of them must be there. */
async function expect(walls: Partial<Record<Wall, RegExp>>, name = 'audit-c'): Promise<void> {
  const { status, report } = await audit(name);
  const found = wrong(report);
  const told = JSON.stringify(found, null, 1);
  assert.equal(status, 1, told);
  assert.equal(report.verdict, 'broken', told);
  for (const [wall, words] of Object.entries(walls)) {
    const texts = found.filter((each) => each.wall === wall && each.verdict === 'broken').map(({ seen }) => seen);
    assert.ok(
      texts.some((text) => words.test(text)),
      `${wall} ${words}: ${told}`,
    );
  }
  assert.deepEqual([...new Set(found.map(({ wall }) => wall))].sort(), Object.keys(walls).sort(), told);
  const table = (await run('bulkheadctl', 'audit', name)).stdout;
  for (const wall of Object.keys(walls)) assert.match(table, new RegExp(`^ +${wall} +broken +\\S`, 'm'));
}

forEachIsolation('bulkheadctl audit of a wall that was broken on purpose finds', function () {
  this.timeout(180_000);
  let target: Sandbox = { init: 0, main: 0, unit: '', payload: '' };
  let intruder: ChildProcess | undefined;

  before(async () => {
    await startAll();
    target = await learn();
  });

  after(removeAll);

  afterEach(async () => {
    if (intruder === undefined) return;
    const ended = new Promise((resolve) => intruder?.on('exit', resolve));
    // Its children hold the descriptor, and end with it.
    process.kill(-(intruder.pid ?? 0), 'SIGKILL');
    await ended;
    intruder = undefined;
    await until('the intruder is gone', async () => (await audit('audit-c')).status === 0);
  });

  async function intrude(...command: readonly string[]): Promise<void> {
    intruder = spawn(command[0] ?? '', command.slice(1), { stdio: 'ignore', detached: true });
    await pause(300);
    assert.equal(intruder.exitCode, null, `${command.join(' ')} ended`);
  }

  const inMounts = (...command: readonly string[]) =>
    must('nsenter', `--mount=/proc/${target.init}/ns/mnt`, ...command);

  it('a mount that was added', async () => {
    await inMounts('mount', '-t', 'tmpfs', 'none', '/home');
    try {
      await expect({ mounts: /^\/home \(tmpfs, writable\) is not planned$/ });
    } finally {
      await inMounts('umount', '/home');
    }
    await expectWhole('audit-c');
  });

  it('a mount over a planned one', async () => {
    await inMounts('mount', '-t', 'tmpfs', '-o', 'nosuid,nodev,size=64m', 'none', '/tmp');
    try {
      await expect({ mounts: /^\/tmp \(tmpfs, writable\) is not planned$/ });
    } finally {
      await inMounts('umount', '/tmp');
    }
  });

  it('something writable in the place of a planned bind', async () => {
    // The very mounts are locked read-only by the kernel, since the namespace belongs to a lesser user namespace.
    await inMounts('mount', '--bind', '/tmp', '/plugin');
    try {
      await expect({ mounts: /^\/plugin is writable$/ });
      await expect({ mounts: /^\/plugin is not '\/opt\/plugin\/audit-c\/v1'$/ });
    } finally {
      await inMounts('umount', '/plugin');
    }
    await expectWhole('audit-c');
  });

  /** The other options are locked as they are. */
  const resize = (size: string) => inMounts('mount', '-o', `remount,nosuid,nodev,strictatime,size=${size}`, '/tmp');

  it('a tmpfs that has grown', async () => {
    await resize('1g');
    try {
      await expect({ mounts: /^\/tmp has room for 1073741824 bytes, planned are 67108864$/ });
    } finally {
      await resize('64m');
    }
    await expectWhole('audit-c');
  });

  it('something mounted over the root', async () => {
    await inMounts('mount', '-t', 'tmpfs', '-o', 'nosuid,nodev', 'none', '/');
    try {
      await expect({ root: /^2 mounts at \/$/ });
    } finally {
      await systemctl('restart', 'plugin@audit-c');
      await untilWhole('audit-c', 1);
      target = await learn();
    }
    await expectWhole('audit-c');
  });

  it('a payload that would outlive others when memory runs out', async () => {
    writeFileSync(`/proc/${target.main}/oom_score_adj`, '0');
    try {
      await expect({ 'oom-score': /: 0$/ });
    } finally {
      writeFileSync(`/proc/${target.main}/oom_score_adj`, '1000');
    }
    await expectWhole('audit-c');
  });

  it('a process of another user in the cgroup', async () => {
    await intrude('setpriv', '--reuid=65534', '--regid=65534', '--groups=4,5', 'sleep', '60');
    writeFileSync(`${CGROUP_ROOT}${target.payload}/cgroup.procs`, String(intruder?.pid));
    await expect({
      namespaces: /'sleep': has another pid, mnt, net, ipc, uts, user, cgroup namespace than init$/,
      'id-range': /'sleep': uid map 0 0 4294967295$/,
      ids: /'sleep': uid 65534 \(outside the range\)$/,
      groups: /'sleep': groups 4 5$/,
      capabilities: /'sleep': bounding CAP_CHOWN /,
      'no-new-privs': /'sleep': not set$/,
      seccomp: /'sleep': mode 0$/,
      'oom-score': /'sleep': 0$/,
      'open-files': /'sleep': soft /,
      'memory-lock': /'sleep': soft /,
      'core-size': /'sleep': soft /,
      root: /'sleep': has another root directory$/,
      parents: /'sleep': child of \d+, which is not of the sandbox$/,
    });
  });

  it('a process that entered all namespaces with capabilities', async () => {
    await intrude('nsenter', `--target=${target.init}`, '--all', 'sleep', '60');
    await expect({
      ids: /'sleep': uid \d+ \(0 inside\)$/,
      capabilities: /'sleep': permitted CAP_CHOWN .*effective CAP_CHOWN /,
      'no-new-privs': /'sleep': not set$/,
      seccomp: /'sleep': mode 0$/,
      'oom-score': /'sleep': 0$/,
      'open-files': /'sleep': soft /,
      'memory-lock': /'sleep': soft /,
      'core-size': /'sleep': soft /,
      parents: /'sleep': child of \d+, which is not of the sandbox$/,
      namespaces: /'nsenter': has another/,
      cgroup: /'sleep': is in '(?!.*payload)/,
    });
  });

  it('a process that entered the network namespace alone', async () => {
    await intrude('nsenter', `--net=/proc/${target.init}/ns/net`, 'sleep', '60');
    const { status, report } = await audit('audit-c');
    assert.equal(status, 1);
    assert.ok(
      wrong(report).some(
        ({ wall, seen }) =>
          wall === 'namespaces' &&
          /'sleep': has another pid, mnt, ipc, uts, user, cgroup namespace than init$/.test(seen),
      ),
      JSON.stringify(wrong(report)),
    );
  });

  it('a network interface', async () => {
    const ip = (...words: readonly string[]) => must('nsenter', `--net=/proc/${target.init}/ns/net`, 'ip', ...words);
    await ip('link', 'add', 'audit0', 'type', 'veth', 'peer', 'name', 'audit1');
    try {
      await expect({ network: /^interface audit[01]$/ });
    } finally {
      await ip('link', 'delete', 'audit0');
    }
    await expectWhole('audit-c');
  });

  it('a property of the unit that was changed', async () => {
    const before = (await systemctl('show', '-P', 'MemoryMax', target.unit)).trim();
    await systemctl('set-property', '--runtime', target.unit, 'MemoryMax=infinity');
    try {
      await expect({ unit: /^MemoryMax=infinity instead of \d+$/ });
    } finally {
      await systemctl('set-property', '--runtime', target.unit, `MemoryMax=${before}`);
    }
    await expectWhole('audit-c');
  });

  it('a property of the slice that was changed', async () => {
    const slice = 'plugin-audit\\x2dc.slice';
    const before = (await systemctl('show', '-P', 'TasksMax', slice)).trim();
    await systemctl('set-property', '--runtime', slice, 'TasksMax=5');
    try {
      await expect({ unit: /^TasksMax=5 instead of \d+$/ });
    } finally {
      await systemctl('set-property', '--runtime', slice, `TasksMax=${before}`);
    }
    await expectWhole('audit-c');
  });

  it('a filter that is not what the profile says now', async () => {
    copyFileSync(LIST, `${LIST}.kept`);
    try {
      appendFileSync(LIST, '\nadd_key # so that there is a difference\n');
      await expect({ filter: /^started with another one, [0-9a-f]{16}$/ });
    } finally {
      renameSync(`${LIST}.kept`, LIST);
    }
    await expectWhole('audit-c');
  });

  it('an environment that is not the planned one', async () => {
    // proc_pid_stat(5): env_start is field 50; the name of the command may have spaces, and ends with the last ')'.
    const fields = readFileSync(`/proc/${target.main}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    const at = Number(fields[47]);
    const memory = openSync(`/proc/${target.main}/mem`, 'r+');
    try {
      writeSync(memory, 'S', at);
      await expect({ environment: /^'(SATH' is not planned|PATH' is missing)$/ });
      writeSync(memory, 'P', at);
    } finally {
      closeSync(memory);
    }
    await expectWhole('audit-c');
  });

  for (const [what, opened, words] of [
    [
      'a directory of the host',
      "os.open('/etc', 0)",
      /is \/etc, opened through a mount that the sandbox does not have$/,
    ],
    ['a file of the host', "os.open('/etc/hostname', 0)", /is \/etc\/hostname, opened through a mount that/],
    ['a namespace of the host', "os.open('/proc/1/ns/mnt', 0)", /is mnt:\[\d+\], which is none of its own$/],
    ['a socket of the host', 'hosts.fileno()', /is socket:\[\d+\], a socket of the host's network namespace$/],
  ] as const) {
    it(`${what} in the hands of a payload`, async () => {
      const send = [
        'import os, socket, time',
        "hosts = socket.socket(); hosts.bind(('127.0.0.1', 0)); hosts.listen()",
        `to = socket.socket(socket.AF_UNIX); to.connect('${TAKER_SOCKET}')`,
        `socket.send_fds(to, [b'x'], [${opened}])`,
        'print(to.recv(5).decode())',
      ].join('\n');
      assert.equal((await must('python3', '-c', send)).trim(), 'taken');
      await expect({ descriptors: words }, TAKER);
      await systemctl('restart', `plugin@${TAKER}`);
      await untilWhole(TAKER, 1);
      await expectWhole(TAKER);
    });
  }
});
