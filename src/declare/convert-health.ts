import type { Declaration, Listen } from './declaration.ts';
import { PROBE_KINDS, PROBE_NAMES, type Probe, type ProbeKind, type ProbeName, type Probes } from './probe.ts';
import { must, type Source } from './source.ts';
import {
  type Reading,
  readHeartbeat,
  readLongTime,
  readProbeTime,
  readProbeTimeout,
  readRequestTime,
  readSpin,
  readStartTimeout,
} from './values.ts';

export function convertHealth(source: Source, listen: readonly Listen[]): Declaration['health'] {
  const read = (key: string, reader: (text: string) => Reading<number>) => {
    const path = `health.${key}`;
    return must(path, reader(source.text(path)));
  };
  return {
    // The bridge of a program that speaks on its standard streams tells when that works.
    ready: source.text('health.ready') === 'notify' || source.text('kind') === 'stdio' ? 'notify' : 'exec',
    startTimeoutMs: read('start-timeout', readStartTimeout),
    heartbeatMs: read('heartbeat', readHeartbeat),
    requestTimeoutMs: read('request-timeout', readRequestTime),
    spinMs: read('spin', readSpin),
    stoppedMs: read('stopped', readLongTime),
    ...probes(source, listen),
  };
}

function probes(source: Source, listen: readonly Listen[]): Probes {
  const found: { [Name in ProbeName]?: Probe } = {};
  for (const name of PROBE_NAMES) {
    const probe = toProbe(source, name, listen);
    if (probe !== undefined) found[name] = probe;
  }
  return found;
}

/** What a probe is said to be; more or less than one is a problem. */
function probeKinds(source: Source, name: ProbeName): readonly ProbeKind[] {
  return PROBE_KINDS.filter((kind) => source.find(`health.${name}.${kind}`) !== undefined);
}

/** The first kind that is named counts; check-health.ts sees to it that there is just one. */
function toProbe(source: Source, name: ProbeName, listen: readonly Listen[]): Probe | undefined {
  const key = `health.${name}`;
  const node = source.find(key);
  const [kind] = probeKinds(source, name);
  if (node === undefined) return undefined;
  source.note(key, node);
  for (const each of [...probeKinds(source, name), 'port']) {
    const said = source.find(`${key}.${each}`);
    if (said !== undefined) source.note(`${key}.${each}`, said);
  }
  if (kind === undefined) return undefined;
  const timing = {
    everyMs: must(`${key}.every`, readProbeTime(source.text(`${key}.every`))),
    timeoutMs: must(`${key}.timeout`, readProbeTimeout(source.text(`${key}.timeout`))),
    misses: Number(source.text(`${key}.misses`)),
    passes: name === 'readiness' ? Number(source.text(`${key}.passes`)) : 1,
  };
  const port = portOf(source, key, listen);
  switch (kind) {
    case 'tcp':
      return { kind, ...port, ...timing };
    case 'http':
      return { kind, path: source.text(`${key}.http`), ...port, ...timing };
    case 'command':
      return { kind, words: source.words(`${key}.command`), ...timing };
    case 'notify':
      return { kind, ...timing };
  }
}

/** A program that is handed no socket serves on ports of its own alone. */
function portOf(source: Source, key: string, listen: readonly Listen[]): { readonly port?: number } {
  if (source.find(`${key}.port`) !== undefined) return { port: Number(source.text(`${key}.port`)) };
  const [first] = listen;
  return first?.to !== undefined && listen.every(({ to }) => to !== undefined) ? { port: first.to } : {};
}
