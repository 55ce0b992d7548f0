import { formatDuration } from '../base/duration.ts';
import { checkProgram } from './check-program.ts';
import type { Declaration } from './declaration.ts';
import type { Finder } from './finder.ts';
import { PROBE_KINDS, PROBE_NAMES, PROBE_SOCKET_NAME, type ProbeName } from './probe.ts';

/** Probes that cannot be made, and times that cannot be kept. */
export function checkHealth(finder: Finder, declaration: Declaration): void {
  const { health, listen, pool, rpc } = declaration;
  for (const name of PROBE_NAMES) if (!finder.isBroken(`health.${name}`)) checkProbe(finder, name, declaration);
  if (pool.standby > 0 && listen.length === 0 && rpc === undefined && !finder.isBroken('listen')) {
    const message = "a standby is a sandbox without traffic, but there is neither 'listen' nor 'rpc', so no traffic";
    finder.add('BH110', 'pool.standby', message, "add 'listen' or 'rpc', or raise 'pool.size'");
  }
  checkGate(finder, declaration);
  if (health.spinMs < health.heartbeatMs) {
    const times = `'health.spin' is ${formatDuration(health.spinMs)}, less than 'health.heartbeat', which is ${formatDuration(health.heartbeatMs)}`;
    finder.conflict('health.spin', times, 'health.heartbeat');
  }
}

/** What is taken through a ring passes no filter, and so no gate. */
function checkGate(finder: Finder, { allow, health, listen, pool }: Declaration): void {
  if (!allow.includes('io_uring') || listen.every(({ to }) => to !== undefined)) return;
  const gated = pool.standby > 0 ? 'pool.standby' : 'health.readiness';
  if (pool.standby === 0 && health.readiness === undefined) return;
  const words = `with 'allow: [io_uring]' a program can take connections past the gate that '${gated}' needs`;
  finder.conflict(gated, words, 'allow');
}

function checkProbe(finder: Finder, name: ProbeName, declaration: Declaration): void {
  const { health, listen, network, rpc, version } = declaration;
  const serves = listen.length > 0 || rpc !== undefined;
  const key = `health.${name}`;
  const kinds = PROBE_KINDS.filter((kind) => finder.isWritten(`${key}.${kind}`));
  const [first, second] = kinds;
  if (!finder.isWritten(key)) return;
  if (first === undefined) {
    if (finder.isBrokenWithin(key)) return;
    const known = name === 'liveness' ? PROBE_KINDS : PROBE_KINDS.filter((kind) => kind !== 'notify');
    finder.add('BH105', key, `'${key}' does not say how`, `add one of ${known.join(', ')}`);
    return;
  }
  if (second !== undefined) {
    const words = `'${key}' has both '${first}' and '${second}', null takes one of them back`;
    finder.conflict(`${key}.${second}`, words, `${key}.${first}`);
    return;
  }
  const probe = health[name];
  if (probe === undefined) return;
  if (name === 'readiness' && !serves && !finder.isBroken('listen')) {
    const message = `'${key}' takes a sandbox out of traffic, but there is neither 'listen' nor 'rpc', so no traffic`;
    finder.add('BH110', key, message);
  }
  if (probe.kind === 'tcp' || probe.kind === 'http') {
    const taken = probe.port === undefined ? listen.findIndex(({ name: own }) => own === PROBE_SOCKET_NAME) : -1;
    if (taken >= 0)
      finder.conflict(
        `listen[${taken}].name`,
        `'${PROBE_SOCKET_NAME}' is what the program finds its socket for probes by`,
        `${key}.${first}`,
      );
    if (probe.port === undefined && !serves && !finder.isBroken('listen'))
      finder.add('BH110', key, `'${key}' has nothing to connect to: there is no 'listen'`, "add 'port'");
    if (finder.isWritten(`${key}.port`) && network.mode === 'host')
      finder.conflict(
        `${key}.port`,
        `'${key}.port' is in a network of the sandbox's own, and there is none`,
        'network',
      );
    return;
  }
  if (finder.isWritten(`${key}.port`))
    finder.conflict(`${key}.port`, `'${key}.port' is for tcp and http`, `${key}.${probe.kind}`);
  if (probe.kind === 'notify') {
    if (health.ready !== 'notify')
      finder.conflict(`${key}.notify`, `'${key}.notify' takes 'health.ready: notify'`, 'health.ready');
    return;
  }
  const [program = ''] = probe.words ?? [];
  checkProgram(finder, `${key}.command`, program, version);
  for (const [other, isNarrow] of [
    ['programs', declaration.programs === 'own'],
    ['seccomp', declaration.seccomp === 'static'],
  ] as const) {
    if (isNarrow)
      finder.conflict(
        `${key}.command`,
        `'${key}.command' is another program than that of 'exec', and '${other}' allows none`,
        other,
      );
  }
}
