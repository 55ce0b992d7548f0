import { convertHealth } from './convert-health.ts';
import { convertRecovery, convertSchedule } from './convert-recovery.ts';
import { convertStdio } from './convert-stdio.ts';
import { convertUpgrade } from './convert-upgrade.ts';
import type {
  Declaration,
  DeclaredCredential,
  DeviceAccess,
  IoLimit,
  Listen,
  Network,
  Origins,
  RpcAccess,
} from './declaration.ts';
import { defaultText, fieldOf, must, Source, sourceOf } from './source.ts';
import type { MapNode, ScalarNode, TreeNode } from './tree.ts';
import {
  type Reading,
  readCpu,
  readEndpoint,
  readIoPath,
  readLogTime,
  readMemory,
  readMode,
  readQuota,
  readRate,
  readResource,
  readSocketPath,
  readStopTimeout,
  readSwap,
  readTasks,
  readTcp,
  readTmp,
} from './values.ts';

export interface Converted {
  readonly declaration: Declaration;
  readonly origins: Origins;
}

/** Turns a merged tree of checked texts into a declaration; what nobody said gets the schema's default. */
export function convert(name: string, tree: MapNode, templates: readonly string[]): Converted {
  const source = new Source(tree);
  const text = (key: string) => source.text(key);
  const number = (key: string) => Number(source.text(key));
  const read = <Value>(key: string, reader: (text: string) => Reading<Value>) => must(key, reader(source.text(key)));
  source.note('template', tree.entries.get('template')?.value);
  const listen = source.list('listen').map((item, index) => toListen(source, item, index));
  const declaration: Declaration = {
    name,
    description: text('description'),
    templates,
    version: source.find('version') === undefined ? undefined : text('version'),
    exec: source.list('exec').map(sourceOf),
    ...convertStdio(source),
    environment: Object.fromEntries(source.map('environment')),
    listen,
    ...(source.find('rpc') === undefined ? {} : { rpc: toRpc(source) }),
    network: toNetwork(source),
    pool: { size: number('pool.size'), standby: number('pool.standby') },
    view: { root: text('view.root'), tmp: read('view.tmp', readTmp), tmpfs: source.list('view.tmpfs').map(toTmpfs) },
    state: {
      path: source.find('state.path') === undefined ? undefined : text('state.path'),
      quota: read('state.quota', readQuota),
    },
    credentials: toCredentials(source),
    devices: source.list('devices').map(toDevice),
    isolation: text('isolation') === 'scope' ? 'scope' : 'nspawn',
    seccomp: text('seccomp'),
    allow: source.list('allow').map(sourceOf),
    programs: text('programs') === 'own' ? 'own' : 'any',
    capabilities: source.list('capabilities').map(sourceOf),
    limits: {
      memory: read('limits.memory', readMemory),
      memoryHigh: read('limits.memory-high', readMemory),
      swap: read('limits.swap', readSwap),
      cpu: read('limits.cpu', readCpu),
      cpuWeight: number('limits.cpu-weight'),
      tasks: read('limits.tasks', readTasks),
      files: number('limits.files'),
      ioWeight: number('limits.io-weight'),
      io: source.list('limits.io').map((item, index) => toIoLimit(source, item, index)),
      memoryLock: read('limits.memory-lock', readResource),
      core: read('limits.core', readResource),
      log: { messages: number('limits.log.messages'), withinMs: read('limits.log.within', readLogTime) },
    },
    health: convertHealth(source, listen),
    stop: { signal: text('stop.signal'), timeoutMs: read('stop.timeout', readStopTimeout) },
    recovery: convertRecovery(source),
    upgrade: convertUpgrade(source),
    versions: { keep: number('versions.keep') },
    schedule: convertSchedule(source),
  };
  return { declaration, origins: source.origins };
}

function toTmpfs(item: TreeNode): { path: string; size: number } {
  const size = must('view.tmpfs[].size', readTmp(fieldOf(item, 'view.tmpfs[]', 'size')));
  return { path: fieldOf(item, 'view.tmpfs[]', 'path'), size };
}

function toDevice(item: TreeNode): { path: string; access: DeviceAccess } {
  const access = fieldOf(item, 'devices[]', 'access');
  return { path: fieldOf(item, 'devices[]', 'path'), access: access === 'r' || access === 'w' ? access : 'rw' };
}

function toCredentials(source: Source): DeclaredCredential[] {
  const all = source.find('credentials');
  if (all?.kind !== 'map') return [];
  return [...all.entries].map(([name, { value }]) => {
    source.note(`credentials.${name}`, value);
    const encrypted = fieldOf(value, 'credentials.*', 'encrypted') === 'true';
    return { name, path: fieldOf(value, 'credentials.*', 'path'), encrypted };
  });
}

function toRpc(source: Source): RpcAccess {
  source.note('rpc', source.find('rpc'));
  const mode = must('rpc.mode', readMode(source.text('rpc.mode')));
  return { user: source.text('rpc.user'), group: source.text('rpc.group'), mode };
}

/** A map without 'egress', which null may have taken out of it, asks for nothing. */
function toNetwork(source: Source): Network {
  const mode = source.text('network');
  const egress = source.list('network.egress').map((item, index) => {
    source.note(`network.egress[${index}]`, item);
    return must('network.egress[]', readEndpoint(sourceOf(item)));
  });
  return { mode: mode === 'host' ? 'host' : egress.length > 0 ? 'egress' : 'none', egress };
}

function toListen(source: Source, item: TreeNode, index: number): Listen {
  const field = (name: string): ScalarNode | undefined => {
    const node = item.kind === 'map' ? item.entries.get(name)?.value : undefined;
    return node?.kind === 'scalar' ? node : undefined;
  };
  const text = (name: string): string => {
    source.note(`listen[${index}].${name}`, field(name));
    return field(name)?.source ?? defaultText(`listen[].${name}`);
  };
  const named = (otherwise: string): string => {
    source.note(`listen[${index}].name`, field('name'));
    return field('name')?.source ?? otherwise;
  };
  const to = text('to');
  const common = { backlog: Number(text('backlog')), ...(to === '' ? {} : { to: Number(to) }) };
  if (field('tcp') !== undefined) {
    const { host, port } = must('listen[].tcp', readTcp(text('tcp')));
    return { kind: 'tcp', host, port, name: named(`tcp-${port}`), ...common };
  }
  const path = must('listen[].unix', readSocketPath(text('unix')));
  const mode = must('listen[].mode', readMode(text('mode')));
  const name = named(socketName(path));
  return { kind: 'unix', path, name, ...common, mode, user: text('user'), group: text('group') };
}

function toIoLimit(source: Source, item: TreeNode, index: number): IoLimit {
  const text = (name: string): string | undefined => {
    const node = item.kind === 'map' ? item.entries.get(name)?.value : undefined;
    if (node !== undefined) source.note(`limits.io[${index}].${name}`, node);
    return node === undefined ? undefined : sourceOf(node);
  };
  const bytes = (name: string): number | 'infinity' => {
    const rate = text(name);
    return rate === undefined ? 'infinity' : must(`limits.io[].${name}`, readRate(rate));
  };
  const operations = (name: string): number | 'infinity' => {
    const rate = text(name);
    return rate === undefined ? 'infinity' : Number(rate);
  };
  return {
    path: must('limits.io[].path', readIoPath(text('path') ?? '')),
    read: bytes('read'),
    write: bytes('write'),
    readIops: operations('read-iops'),
    writeIops: operations('write-iops'),
  };
}

/** The file's name without '.sock', in the characters that LISTEN_FDNAMES allows. */
function socketName(path: string): string {
  const base = path.slice(path.lastIndexOf('/') + 1).replace(/\.sock(et)?$/, '');
  return base.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, 64) || 'unix';
}
