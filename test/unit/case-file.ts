import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseBytes } from '../../src/base/bytes.ts';
import type { Problem } from '../../src/base/problem.ts';
import type { Declaration, DeclarationText, Origins } from '../../src/declare/declaration.ts';
import { readDeclaration } from '../../src/declare/read-declaration.ts';
import type { VersionSource } from '../../src/declare/version-layer.ts';
import type { DeviceFacts, HostFacts, PluginPlan, SandboxPlan } from '../../src/plan/plan.ts';
import { planPlugin, requiredPaths, stampedPaths } from '../../src/plan/plan-plugin.ts';
import { planSandbox } from '../../src/plan/plan-sandbox.ts';
import { PROJECT } from './project.ts';

/** One `## ...` line of a case. */
export interface Directive {
  readonly word: string;
  readonly rest: string;
}

/** What became of a case's declaration. */
export interface Outcome {
  readonly problems: readonly Problem[];
  readonly declaration: Declaration | undefined;
  readonly origins: Origins;
  readonly plan: PluginPlan | undefined;
  readonly sandbox: SandboxPlan | undefined;
}

export const CASES = `${PROJECT}/test/cases`;

const PATHS = {
  lib: '/usr/lib/bulkhead',
  etc: '/etc/bulkhead',
  run: '/run/bulkhead',
  state: '/var/lib/bulkhead/state',
  versions: '/opt/plugin',
  nspawn: '/usr/bin/systemd-nspawn',
};

export function directives(text: string): Directive[] {
  return text.split('\n').flatMap((line) => {
    const match = /^## ?(\S+) ?(.*)$/.exec(line);
    return match === null ? [] : [{ word: match[1] ?? '', rest: match[2] ?? '' }];
  });
}

/** Reads, plans and unfolds a case the way the supervisor does, for a host of 8G where everything is installed. */
export function runCase(file: string): Outcome {
  const all = directives(readFileSync(file, 'utf8'));
  const texts = [file, ...values(all, 'with').map((name) => `${CASES}/${name}`)].map(textOf);
  const name = values(all, 'name')[0] ?? basename(file).replace(/\.\w+$/, '');
  const { declaration, origins, problems } = readDeclaration(name, texts, templateTexts, versionsIn(all));
  if (declaration === undefined) return { problems, origins, declaration, plan: undefined, sandbox: undefined };
  const host = hostFor(declaration, all);
  const planned = planPlugin(declaration, origins, host);
  const identity = { slot: 'a', generation: 7, uidBase: 1073741824 } as const;
  const sandbox = planned.plan === undefined ? undefined : planSandbox(planned.plan, identity, PATHS);
  return { problems: planned.problems, origins, declaration, plan: planned.plan, sandbox };
}

/** `## upgraded-to VERSION`, and `## brings VERSION FILE` for what a version says itself. */
function versionsIn(all: readonly Directive[]): VersionSource {
  const [version] = values(all, 'upgraded-to');
  const brings = values(all, 'brings').map((rest) => rest.split(' '));
  return {
    inForce: () => (version === undefined ? undefined : { version, what: 'upgrade of 2026-11-26 by uid 0' }),
    texts: (wanted) => brings.filter(([each]) => each === wanted).map(([, file]) => textOf(`${CASES}/${file}`)),
  };
}

function values(all: readonly Directive[], word: string): string[] {
  return all.filter((directive) => directive.word === word).map(({ rest }) => rest);
}

function textOf(file: string): DeclarationText {
  return { file: shortName(file), text: readFileSync(file, 'utf8'), format: file.endsWith('.yaml') ? 'yaml' : 'unit' };
}

/** Names below the cases' directory, so that expectations read well; templates are `templates/NAME.yaml`. */
function shortName(file: string): string {
  return file.replace(`${CASES}/`, '').replace(`${PROJECT}/templates/plugins/`, 'templates/');
}

function templateTexts(name: string): DeclarationText[] | undefined {
  const file = [`${CASES}/templates/${name}.yaml`, `${PROJECT}/templates/plugins/${name}.yaml`].find((path) =>
    existsSync(path),
  );
  return file === undefined ? undefined : [textOf(file)];
}

function hostFor(declaration: Declaration, all: readonly Directive[]): HostFacts {
  const files = new Map<string, 'directory' | 'executable' | 'file' | 'missing'>();
  for (const path of requiredPaths(declaration, PATHS))
    files.set(path, isProgram(path, declaration) ? 'executable' : 'directory');
  for (const path of values(all, 'host-missing')) files.set(path, 'missing');
  for (const path of values(all, 'host-file')) files.set(path, 'file');
  for (const path of values(all, 'host-directory')) files.set(path, 'directory');
  for (const rest of values(all, 'host-image')) files.set(rest.split(' ')[0] ?? '', 'file');
  return {
    memoryTotal: parseBytes(values(all, 'host-memory')[0] ?? '8G') ?? Number.NaN,
    cpus: 4,
    systemdVersion: Number(values(all, 'host-systemd')[0] ?? 257),
    cgroupControllers: ['cpu', 'memory', 'pids'],
    paths: PATHS,
    files,
    stamps: new Map(
      stampedPaths(declaration, PATHS)
        .filter((path) => files.get(path) !== 'missing')
        .map((path) => [path, `stamp of ${path}`]),
    ),
    images: new Map(
      values(all, 'host-image').map((rest) => {
        const [path = '', format] = rest.split(' ');
        return [path, format === 'erofs' ? 'erofs' : 'squashfs'];
      }),
    ),
    devices: new Map(declaration.devices.flatMap(({ path }) => deviceIn(all, path))),
    seccompProfiles: ['native', 'node', 'python'],
  };
}

/** `## host-device PATH KIND MAJOR:MINOR MODE`; what is not said is open to all, as /dev/nvidia0 is. */
function deviceIn(all: readonly Directive[], path: string): [string, DeviceFacts][] {
  if (values(all, 'host-missing').includes(path)) return [];
  const words = values(all, 'host-device')
    .map((rest) => rest.split(' '))
    .find(([named]) => named === path);
  const [, kind = 'char', numbers = '195:0', mode = '0666'] = words ?? [];
  const [major = 0, minor = 0] = numbers.split(':').map(Number);
  const facts = { major, minor, mode: Number.parseInt(mode, 8) };
  return [[path, { kind: kind === 'char' || kind === 'block' ? kind : 'other', ...facts }]];
}

function isProgram(path: string, { exec }: Declaration): boolean {
  const word = (exec[0] ?? '').replace(/^\.\//, '/').replace(/^\/plugin\//, '/');
  return path.endsWith(word);
}
