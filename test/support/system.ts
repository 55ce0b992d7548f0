import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { PluginStatus, SandboxStatus } from '../../src/control/api.ts';
import { connectManager } from '../../src/control/manager-client.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { parseSandboxUnit, SANDBOX_UNIT_PATTERNS } from '../../src/plan/identity.ts';
import { isolationNow } from './isolation.ts';
import { pause } from './load.ts';

/** What a command printed and how it ended. */
export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end; any exit status is a result. Longer than five minutes means a hang, on an emulated machine, too. */
export function run(command: string, ...args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: 300_000, maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 255;
      resolve({ status: code, stdout, stderr: error !== null && code === 255 ? `${stderr}${error.message}` : stderr });
    });
  });
}

/** Runs a command that must succeed; returns what it printed. */
export async function must(command: string, ...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await run(command, ...args);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: status ${status}\n${stdout}${stderr}`);
  return stdout;
}

export function systemctl(...args: readonly string[]): Promise<string> {
  return must('systemctl', ...args);
}

/** Longer than most things may take (ms), also where others have the processors for ten seconds. */
const PATIENCE_MS = 45_000;

/** Resolves when the condition holds; an error that says what was waited for after `timeoutMs`. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs = PATIENCE_MS,
): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await pause(20);
  }
}

const EXAMPLES = process.env.BULKHEAD_EXAMPLES ?? '/opt/bulkhead-test/examples';

/** Installs one of the example plugins under a name, as a user would: a version directory and a declaration. */
export function installExample(name: string, example: 'python' | 'node' | 'c', declaration: readonly string[]): void {
  const directory = `/opt/plugin/${name}/v1`;
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  cpSync(`${EXAMPLES}/hello-${example}`, directory, { recursive: true });
  declare(name, declaration);
}

const HOSTILE = process.env.BULKHEAD_HOSTILE ?? '/opt/bulkhead-test/plugins';

/** Installs one of the programs of test/plugins in the same way, as `./main`. */
export function installHostile(name: string, program: string, declaration: readonly string[]): void {
  const directory = `/opt/plugin/${name}/v1`;
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  cpSync(`${HOSTILE}/${program}`, `${directory}/main`);
  declare(name, declaration);
}

/** A line of a declaration: what a reload changes is not watched for longer than it has to be. */
export const UPGRADED_AT_ONCE = 'upgrade: { canary: [], bake: 1s, drain: 2s }';

/** Writes /etc/bulkhead/plugins/NAME.yaml, for the isolation that is tested now. */
export function declare(name: string, lines: readonly string[]): void {
  const isolation = isolationNow();
  const all = isolation === 'nspawn' ? lines : [...lines, `isolation: ${isolation}`];
  writeFileSync(`/etc/bulkhead/plugins/${name}.yaml`, `${all.join('\n')}\n`, { mode: 0o644 });
}

/** Stops the plugin and removes all that was installed for it. */
export async function uninstall(name: string): Promise<void> {
  await run('systemctl', 'stop', `plugin@${name}`);
  await run('systemctl', 'reset-failed', `plugin@${name}`);
  rmSync(`/etc/bulkhead/plugins/${name}.yaml`, { force: true });
  rmSync(`/opt/plugin/${name}`, { recursive: true, force: true });
  // What an upgrade made live, and what is known of versions.
  rmSync(`/var/lib/bulkhead/live/${name}.json`, { force: true });
  rmSync(`/var/lib/bulkhead/versions/${name}`, { recursive: true, force: true });
}

/**
 * What `bulkheadctl status NAME --json` prints, asked in the same way: tests wait for it all the time, and a process for
 * each question would take most of the processor, or seconds in an emulated machine.
 */
export async function status(name: string): Promise<PluginStatus> {
  const manager = await connectManager(systemClock, process.env, false);
  try {
    return await manager.status(name);
  } finally {
    manager.release();
  }
}

/** The ready sandboxes, all of whose facts are known. */
export async function readySandboxes(name: string): Promise<SandboxStatus[]> {
  return (await status(name)).sandboxes.filter(({ state, payloadPid }) => state === 'ready' && payloadPid !== null);
}

export async function untilWhole(name: string, size: number, timeoutMs?: number): Promise<SandboxStatus[]> {
  let ready: SandboxStatus[] = [];
  const isWhole = async () => {
    ready = await readySandboxes(name).catch(() => []);
    return ready.length === size;
  };
  await until(`${size} ready sandboxes of '${name}'`, isWhole, timeoutMs);
  return ready;
}

/** Resolves when the pool is whole again without this unit. */
export async function untilReplaced(name: string, size: number, unit: string): Promise<void> {
  await until(`'${unit}' is replaced`, async () => {
    const ready = await readySandboxes(name);
    return ready.length === size && !ready.some((sandbox) => sandbox.unit === unit);
  });
}

export function pidsOf(sandboxes: readonly SandboxStatus[]): number[] {
  return sandboxes.map(({ payloadPid }) => payloadPid ?? 0).sort((one, other) => one - other);
}

/** Units of sandboxes of the plugin that systemd has now, in whatever state. */
export async function sandboxUnits(name: string): Promise<string[]> {
  const text = await must('systemctl', 'list-units', '--all', '--plain', '--no-legend', ...SANDBOX_UNIT_PATTERNS);
  const units = text.split('\n').map((line) => line.trim().split(/\s+/)[0] ?? '');
  return units.filter((unit) => parseSandboxUnit(unit)?.plugin === name);
}

export async function supervisorPid(): Promise<number> {
  return Number((await systemctl('show', '-P', 'MainPID', 'bulkheadd')).trim());
}

/** kill -9 of the supervisor; resolves when the next one is ready. */
export async function killSupervisor(): Promise<void> {
  const pid = await supervisorPid();
  if (pid > 0) process.kill(pid, 'SIGKILL');
  await supervisorBack(pid);
}

/** Resolves when a supervisor other than `before` is ready. */
export async function supervisorBack(before: number): Promise<void> {
  await until('the next supervisor', async () => {
    const [now, state] = (await systemctl('show', '-P', 'MainPID', '-P', 'ActiveState', 'bulkheadd'))
      .trim()
      .split('\n');
    return Number(now) !== before && Number(now) > 0 && state === 'active';
  });
}

/** A field of /proc/PID/status. */
export function procStatus(pid: number, field: string): string {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${field}:`));
  if (line === undefined) throw new Error(`no ${field} in /proc/${pid}/status`);
  return line.slice(field.length + 1).trim();
}
