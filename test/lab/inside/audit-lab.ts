import assert from 'node:assert/strict';
import type { Finding } from '../../../src/audit/finding.ts';
import type { AuditReport } from '../../../src/control/api.ts';
import { declare, installExample, run, systemctl, uninstall, untilWhole } from '../../support/system.ts';

const EXAMPLES = {
  'audit-python': { example: 'python', template: 'python', port: 9331 },
  'audit-node': { example: 'node', template: 'node', port: 9332 },
  'audit-c': { example: 'c', template: 'native', port: 9333 },
} as const;
/** Takes whatever descriptor it is sent, and keeps it. */
export const TAKER = 'audit-taker';
export const TAKER_SOCKET = '/run/plugin/audit-taker.sock';
/** Starts processes that end at once, all the time. */
const RESTLESS = 'audit-restless';
export const NAMES = [...Object.keys(EXAMPLES), TAKER, RESTLESS];
export const FILES = 777;
const TAKER_PROGRAM = `
import socket
listener = socket.socket(fileno=3)
kept = []
while True:
    connection, _ = listener.accept()
    kept.append(connection)
    message, fds, _, _ = socket.recv_fds(connection, 16, 4)
    kept.append(fds)
    connection.sendall(b'taken')
`;

export async function audit(
  name: string,
  ...options: readonly string[]
): Promise<{ status: number; report: AuditReport }> {
  const { status, stdout, stderr } = await run('bulkheadctl', 'audit', name, '--json', ...options);
  assert.ok(stdout.startsWith('{'), `status ${status}: ${stderr}`);
  return { status, report: JSON.parse(stdout) as AuditReport };
}

export function wrong({ slice, sandboxes }: AuditReport): Finding[] {
  const all = [...slice, ...sandboxes.flatMap(({ findings }) => findings)];
  return all.filter(({ verdict }) => verdict === 'broken' || verdict === 'unknown');
}

export async function expectWhole(name: string): Promise<void> {
  const { status, report } = await audit(name);
  assert.deepEqual([wrong(report), status], [[], 0]);
}

/** Starts one plugin of each kind, with one sandbox each. */
export async function startAll(): Promise<void> {
  for (const [name, { example, template, port }] of Object.entries(EXAMPLES)) {
    installExample(name, example, [
      `template: ${template}`,
      'version: v1',
      `listen: [{ tcp: 127.0.0.1:${port}, name: web }]`,
      'environment: { COLOUR: "blue green", EMPTY: "" }',
      `limits: { files: ${FILES} }`,
    ]);
  }
  declare(TAKER, [
    'template: python',
    `exec: [/usr/bin/python3, -c, ${JSON.stringify(TAKER_PROGRAM)}]`,
    `listen: [{ unix: ${TAKER_SOCKET}, name: take }]`,
  ]);
  declare(RESTLESS, ['template: native', 'exec: [/bin/sh, -c, "while :; do /bin/true & /bin/true; done"]']);
  await systemctl('start', ...NAMES.map((name) => `plugin@${name}`));
  for (const name of NAMES) await untilWhole(name, 1);
}

export async function removeAll(): Promise<void> {
  for (const name of NAMES) await uninstall(name);
}
