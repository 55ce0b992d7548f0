import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { must, systemctl } from '../../support/system.ts';
import { BENCH_DIRECTORY } from './plugin.ts';

/** What Node.js writes with --cpu-prof (the Profile of the inspector's protocol): of it, what is read here. */
interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
      readonly columnNumber: number;
    };
  }[];
  readonly samples: readonly number[];
  /** Microseconds since the sample before. */
  readonly timeDeltas: readonly number[];
}

const DROP_IN = '/run/systemd/system/bulkheadd.service.d/bench-profile.conf';
const LAUNCHER = '/usr/sbin/bulkheadd';
/** Where the supervisor may write. */
const DIRECTORY = '/run/bulkhead/bench-profile';

/**
 * Runs the supervisor under the profiler while `during` goes on. Returns CPU time (ms) by the file that spent it, without
 * the first `skippedMs`, in which it starts and adopts what runs.
 */
export async function profileSupervisor(
  during: () => Promise<void>,
  skippedMs: number,
): Promise<ReadonlyMap<string, number>> {
  mkdirSync(DIRECTORY, { recursive: true });
  mkdirSync('/run/systemd/system/bulkheadd.service.d', { recursive: true });
  const profiled = `${BENCH_DIRECTORY}/bulkheadd`;
  const options = `--cpu-prof --cpu-prof-dir=${DIRECTORY}`;
  const script = readFileSync(LAUNCHER, 'utf8').replace('exec "$node"', `exec "$node" ${options}`);
  writeFileSync(profiled, script, { mode: 0o755 });
  writeFileSync(DROP_IN, `[Service]\nExecStart=\nExecStart=${profiled}\n`);
  await systemctl('daemon-reload');
  await systemctl('restart', 'bulkheadd');
  try {
    await during();
  } finally {
    rmSync(DROP_IN);
    await systemctl('daemon-reload');
    await systemctl('restart', 'bulkheadd');
  }
  const [file] = readdirSync(DIRECTORY).filter((name) => name.endsWith('.cpuprofile'));
  if (file === undefined)
    throw new Error(
      `the supervisor left no profile in ${DIRECTORY}: ${await must('systemctl', 'status', 'bulkheadd')}`,
    );
  const profile = JSON.parse(readFileSync(`${DIRECTORY}/${file}`, 'utf8')) as Profile;
  rmSync(DIRECTORY, { recursive: true });
  return byFile(profile, skippedMs);
}

/** Idle time is not in it; what the engine itself needs is under names in brackets, such as `(garbage collector)`. */
function byFile({ nodes, samples, timeDeltas }: Profile, skippedMs: number): ReadonlyMap<string, number> {
  const map = new SourceMap(JSON.parse(readFileSync(`${BENCH_DIRECTORY}/bulkheadd.mjs.map`, 'utf8')));
  const files = new Map(nodes.map(({ id, callFrame }) => [id, fileOf(map, callFrame)]));
  const spent = new Map<string, number>();
  let at = 0;
  for (const [index, id] of samples.entries()) {
    const file = files.get(id) ?? '(unknown)';
    const ms = (timeDeltas[index] ?? 0) / 1000;
    at += ms;
    if (at >= skippedMs && file !== '(idle)') spent.set(file, (spent.get(file) ?? 0) + ms);
  }
  return spent;
}

function fileOf(
  map: SourceMap,
  { functionName, url, lineNumber, columnNumber }: Profile['nodes'][number]['callFrame'],
): string {
  if (functionName.startsWith('(')) return functionName;
  if (!url.endsWith('/bulkheadd.mjs')) return url === '' ? '(engine)' : url;
  const entry = map.findEntry(lineNumber, columnNumber);
  return 'originalSource' in entry ? entry.originalSource.replace(/^(\.\.\/)+/, '') : '(bundle)';
}
