import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Finding } from '../../../src/audit/finding.ts';
import { declare, run, status, systemctl, uninstall, untilWhole } from '../../support/system.ts';
import { audit } from './audit-lab.ts';

/** Both ways to make a sandbox have to show the same. */
export const KINDS = ['nspawn', 'scope'] as const;

/** Evaluates what it is sent as Python, and answers with the result, or with the name of the error, as JSON. */
const PROGRAM = `
import errno, json, os, socket
listener = socket.socket(fileno=3)
while True:
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as request:
        try:
            answer = {"result": eval(request.read())}
        except OSError as problem:
            answer = {"error": errno.errorcode[problem.errno]}
        connection.sendall(json.dumps(answer).encode())
`;

/** Declares a plugin that does what it is asked, and starts nothing. */
export function declareProbe(name: string, lines: readonly string[], version = 'v1'): void {
  writeProbe(`/opt/plugin/${name}/${version}`);
  declareVersion(name, lines, version);
}

/** Makes the directory with its program. */
export function writeProbe(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  writeFileSync(`${directory}/main.py`, PROGRAM);
}

/** Declares it with a version that is there, or is not. */
export function declareVersion(name: string, lines: readonly string[], version = 'v1'): void {
  declare(name, [
    'template: python',
    `version: ${version}`,
    `listen: [{ unix: ${socketOf(name)} }]`,
    'recovery: { budget: { restarts: 1 } }',
    ...lines,
  ]);
}

export async function start(name: string, size = 1): Promise<void> {
  await systemctl('start', `plugin@${name}`);
  await untilWhole(name, size);
}

/** Starts what must not start; returns the reason that people are told. */
export async function refused(name: string): Promise<string> {
  const { status: code } = await run('systemctl', 'start', `plugin@${name}`);
  const { reason } = await status(name);
  if (code === 0 || reason === null) throw new Error(`'${name}' was started: ${JSON.stringify(await status(name))}`);
  return `${reason.code} ${reason.text}`;
}

/** What a Python expression is inside the sandbox; `error` for the name of an OSError. */
export function ask(name: string, expression: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const client = connect(socketOf(name));
    let text = '';
    client.setTimeout(60_000, () => client.destroy(new Error(`no answer to ${expression}`)));
    client.on('data', (chunk) => {
      text += chunk;
    });
    client.on('error', reject);
    client.on('close', () => {
      try {
        const { result, error } = JSON.parse(text) as { result?: unknown; error?: string };
        resolve(error === undefined ? result : { error });
      } catch {
        reject(new Error(`'${text}' is no answer to ${expression}`));
      }
    });
    client.end(expression);
  });
}

/** Findings of an audit but for the limits, which a lab's host need not enforce. */
export async function auditOf(name: string): Promise<Finding[]> {
  const { report } = await audit(name);
  if (report.sandboxes.length === 0) throw new Error(JSON.stringify(report));
  const all = [...report.slice, ...report.sandboxes.flatMap(({ findings }) => findings)];
  return all.filter(({ wall, verdict }) => verdict !== 'holds' && wall !== 'limits');
}

export async function remove(name: string): Promise<void> {
  await uninstall(name);
  rmSync(`/var/lib/bulkhead/state/${name}`, { recursive: true, force: true });
}

function socketOf(name: string): string {
  return `/run/plugin/${name}.sock`;
}
