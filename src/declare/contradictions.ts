import { formatBytes } from '../base/bytes.ts';
import { formatDuration } from '../base/duration.ts';
import type { Problem } from '../base/problem.ts';
import { checkHealth } from './check-health.ts';
import { checkProgram } from './check-program.ts';
import { checkRecovery } from './check-recovery.ts';
import { checkStdio } from './check-stdio.ts';
import { checkUpgrade } from './check-upgrade.ts';
import { type Declaration, type Isolation, type Listen, type Origins, RPC_SOCKET_NAME } from './declaration.ts';
import { endpointText } from './endpoint.ts';
import { Finder } from './finder.ts';

/**
 * What no single value shows: settings of a whole declaration that cannot hold together. Both places are named.
 * Whatever involves a key in `broken` was reported before and is left out. Files in `brought` are those of a version.
 */
export function findContradictions(
  declaration: Declaration,
  origins: Origins,
  broken: ReadonlySet<string>,
  brought: ReadonlySet<string>,
): Problem[] {
  const finder = new SettingsFinder(origins, broken, brought);
  finder.checkExec(declaration);
  finder.checkListen(declaration.listen);
  finder.checkRpc(declaration);
  finder.checkNetwork(declaration);
  finder.checkTwice('capabilities', declaration.capabilities);
  finder.checkTwice('allow', declaration.allow);
  finder.checkLimits(declaration.limits);
  finder.checkLog(declaration.isolation);
  finder.checkIo(declaration.limits.io);
  finder.checkBackoff(declaration.recovery.backoff);
  finder.checkWritable(declaration);
  finder.checkCredentials(declaration.credentials);
  finder.checkDevices(declaration.devices);
  checkStdio(finder, declaration);
  checkHealth(finder, declaration);
  checkRecovery(finder, declaration);
  checkUpgrade(finder, declaration);
  return finder.found;
}

class SettingsFinder extends Finder {
  checkExec({ exec, version }: Declaration): void {
    const [program] = exec;
    if (program !== undefined) checkProgram(this, 'exec', program, version);
  }

  checkListen(listen: readonly Listen[]): void {
    if (this.isBroken('listen')) return;
    listen.forEach((socket, index) => {
      const first = listen.findIndex((other) => addressOf(other) === addressOf(socket));
      const kind = socket.kind;
      if (first < index)
        this.conflict(
          `listen[${index}].${kind}`,
          `'${addressOf(socket)}' is listened on twice`,
          `listen[${first}].${kind}`,
        );
      const named = listen.findIndex((other) => other.name === socket.name);
      // Two sockets may share a default name: 127.0.0.1:80 and [::1]:80 are the same service.
      if (named < index && (this.isWritten(`listen[${index}].name`) || this.isWritten(`listen[${named}].name`))) {
        const where = (at: number) =>
          this.isWritten(`listen[${at}].name`) ? `listen[${at}].name` : `listen[${at}].${listen[at]?.kind}`;
        this.conflict(where(index), `two sockets have the name '${socket.name}'`, where(named));
      }
    });
  }

  checkRpc({ rpc, listen }: Declaration): void {
    const taken = listen.findIndex(({ name }) => name === RPC_SOCKET_NAME);
    if (rpc === undefined || taken < 0) return;
    const key = this.isWritten(`listen[${taken}].name`)
      ? `listen[${taken}].name`
      : `listen[${taken}].${listen[taken]?.kind}`;
    this.conflict(key, `'${RPC_SOCKET_NAME}' is what the program finds its socket for calls by`, 'rpc');
  }

  checkNetwork({ network, listen }: Declaration): void {
    const { mode, egress } = network;
    egress.forEach((endpoint, index) => {
      const first = egress.findIndex(({ host, port }) => host === endpoint.host && port === endpoint.port);
      if (first < index)
        this.conflict(
          `network.egress[${index}]`,
          `'${endpointText(endpoint)}' is allowed twice`,
          `network.egress[${first}]`,
        );
    });
    listen.forEach(({ to }, index) => {
      if (to === undefined) return;
      const key = `listen[${index}].to`;
      if (mode === 'host')
        this.conflict(key, `'${key}' forwards into a network of the sandbox's own, and there is none`, 'network');
      const taken = egress.findIndex(({ host, port }) => host === '127.0.0.1' && port === to);
      if (taken >= 0)
        this.conflict(
          key,
          `the program cannot bind port ${to}: '127.0.0.1:${to}' leads out`,
          `network.egress[${taken}]`,
        );
    });
  }

  checkTwice(key: string, names: readonly string[]): void {
    const twice = names.find((name, index) => names.indexOf(name) < index);
    if (twice !== undefined) this.add('BH111', key, `'${twice}' is given twice`);
  }

  checkLimits({ memory, memoryHigh }: Declaration['limits']): void {
    if (memory === 'infinity' || memoryHigh === 'infinity' || !('bytes' in memory) || !('bytes' in memoryHigh)) return;
    if (memoryHigh.bytes <= memory.bytes) return;
    const sizes = `'limits.memory-high' is ${formatBytes(memoryHigh.bytes)}, more than 'limits.memory', which is ${formatBytes(memory.bytes)}`;
    this.conflict('limits.memory-high', sizes, 'limits.memory');
  }

  checkIo(io: Declaration['limits']['io']): void {
    if (this.isBroken('limits.io')) return;
    io.forEach(({ path, ...rates }, index) => {
      const key = `limits.io[${index}]`;
      const first = io.findIndex((other) => other.path === path);
      if (first < index) this.conflict(`${key}.path`, `'${path}' has limits twice`, `limits.io[${first}].path`);
      if (Object.values(rates).every((rate) => rate === 'infinity'))
        this.add('BH105', `${key}.path`, `'${key}' limits nothing`, "add 'read', 'write', 'read-iops' or 'write-iops'");
    });
  }

  /** journald knows the rate of services alone. What a template says for both kinds is no mistake of this declaration. */
  checkLog(isolation: Isolation): void {
    if (isolation !== 'scope') return;
    for (const key of ['limits.log.messages', 'limits.log.within'])
      if (this.isOwn(key)) this.conflict(key, `'${key}' has no effect on a scope`, 'isolation');
  }

  checkBackoff({ initialMs, maxMs }: Declaration['recovery']['backoff']): void {
    if (initialMs <= maxMs) return;
    const times = `'recovery.backoff.initial' is ${formatDuration(initialMs)}, more than 'recovery.backoff.max', which is ${formatDuration(maxMs)}`;
    this.conflict('recovery.backoff.initial', times, 'recovery.backoff.max');
  }

  /** Two writable directories at one place, or one within the other, would hide each other. */
  checkWritable({ state, view }: Declaration): void {
    if (state.path === undefined && state.quota !== 'infinity' && !this.isBroken('state.path'))
      this.add('BH110', 'state.quota', "there is a 'state.quota', but no 'state.path'", "add 'state.path'");
    const places = this.isBroken('view.tmpfs')
      ? []
      : view.tmpfs.map(({ path }, index) => ({ key: `view.tmpfs[${index}]`, path }));
    if (state.path !== undefined) places.push({ key: 'state.path', path: state.path });
    places.forEach(({ key, path }, index) => {
      const other = places.slice(0, index).find((each) => isWithin(path, each.path) || isWithin(each.path, path));
      if (other === undefined) return;
      const [inner, outer] = path.length > other.path.length ? [path, other.path] : [other.path, path];
      const words = inner === outer ? `'${path}' is given twice` : `'${inner}' is within '${outer}'`;
      this.conflict(key, words, other.key);
    });
  }

  checkCredentials(credentials: Declaration['credentials']): void {
    for (const { name, path } of credentials) {
      const key = `credentials.${name}`;
      if (path === '' && !this.isBroken(`${key}.path`)) this.add('BH105', key, `'${key}' has no 'path'`);
    }
  }

  checkDevices(devices: Declaration['devices']): void {
    if (this.isBroken('devices')) return;
    devices.forEach(({ path }, index) => {
      const first = devices.findIndex((other) => other.path === path);
      if (first < index) this.conflict(`devices[${index}]`, `'${path}' is given twice`, `devices[${first}]`);
    });
  }
}

function isWithin(path: string, other: string): boolean {
  return path === other || path.startsWith(`${other}/`);
}

/** The address as it is written in a declaration. */
export function addressOf(listen: Listen): string {
  if (listen.kind === 'unix') return listen.path;
  return listen.host.includes(':') ? `[${listen.host}]:${listen.port}` : `${listen.host}:${listen.port}`;
}
