import { chmodSync } from 'node:fs';
import { namesIn, readFileIfThere, removeFile, writeFileAtomically } from '../kernel/files.ts';
import { isGate } from '../plan/gate.ts';
import { parseSandboxUnit } from '../plan/identity.ts';
import type { Gate, PlannedRpc, SlotName } from '../plan/plan.ts';
import { NSPAWN_PAYLOAD_GROUP } from '../plan/plan-sandbox.ts';

/** What the supervisor intended with a sandbox. Written before its unit is started, removed after all of it is gone. */
export interface SandboxRecord {
  readonly format: 1;
  readonly unit: string;
  readonly plugin: string;
  readonly slot: SlotName;
  readonly generation: number;
  readonly version: string | null;
  readonly digest: string;
  readonly machine: string;
  readonly uidBase: number;
  readonly cgroup: string;
  /** Where init and the payload are. */
  readonly payloadCgroup: string;
  readonly seccomp: string;
  /** Ours come before systemd's own limits; ms. */
  readonly startTimeoutMs: number;
  readonly stopTimeoutMs: number;
  /** What its unit lets it have when another version takes its place; absent in records of versions that had none. */
  readonly drainMs?: number;
  /** What it was given to end in, if that is not what is declared for a stop; ms. */
  readonly endsWithinMs?: number;
  /** Keys of the listening sockets that the launcher gets, in order. */
  readonly listeners: readonly string[];
  /** Its socket for calls, which the launcher gets behind them; absent where it takes none. */
  readonly rpc?: PlannedRpc;
  /** Mounts of the host that it needs; absent in records of versions that had none. */
  readonly hostMounts?: readonly string[];
  /** SHA-256 of the filter that the launcher was handed; absent before, and in records of versions that had none. */
  readonly filter?: string;
  /** Digest of the limits that were set last (`PluginPlan.limitsDigest`); absent in records of versions that had none. */
  readonly limits?: string;
  /** It learns, beside the pool. */
  readonly learning?: boolean;
  /** How its gate is to stand; written before init is told. Absent where it has none. */
  readonly gate?: Gate;
  /** How it stood at the start, which its command says. */
  readonly firstGate?: Gate;
  /** It has probes; init says what they say. */
  readonly probed?: boolean;
  /** Directories that it can fill, as it sees them; absent in records of versions that did not look at them. */
  readonly fillable?: readonly string[];
}

/** The records of all sandboxes, as files below one directory. */
export class SandboxRecords {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** All readable records. A damaged one is set aside under another name and told of. */
  all(damaged: (file: string, why: string) => void): SandboxRecord[] {
    const records: SandboxRecord[] = [];
    for (const name of namesIn(this.#directory, '.json')) {
      const file = `${this.#directory}/${name}`;
      const record = parseRecord(readFileIfThere(file));
      if (record !== undefined && `${record.unit}.json` === name) records.push(record);
      else {
        damaged(file, 'not a record of this format');
        removeFile(file);
      }
    }
    return records;
  }

  write(record: SandboxRecord): void {
    writeFileAtomically(this.#path(record.unit), `${JSON.stringify(record)}\n`);
  }

  /** The sandbox's own hosts(5), which goes with the record; readable for whoever sees it inside. */
  writeHosts(unit: string, text: string): void {
    writeFileAtomically(this.#hostsPath(unit), text);
    chmodSync(this.#hostsPath(unit), 0o644);
  }

  /** The record goes last. */
  remove(unit: string): void {
    removeFile(this.#hostsPath(unit));
    removeFile(this.#path(unit));
  }

  #hostsPath(unit: string): string {
    return `${this.#directory}/${unit}.hosts`;
  }

  #path(unit: string): string {
    return `${this.#directory}/${unit}.json`;
  }
}

function parseRecord(text: string | undefined): SandboxRecord | undefined {
  if (text === undefined) return undefined;
  try {
    const stored = JSON.parse(text) as SandboxRecord;
    // Versions that knew nspawn alone did not write it down.
    const record = { ...stored, payloadCgroup: stored.payloadCgroup ?? `${stored.cgroup}/${NSPAWN_PAYLOAD_GROUP}` };
    const { unit, plugin, digest, machine, cgroup, payloadCgroup, seccomp } = record;
    const whole =
      record.format === 1 &&
      isText(unit) &&
      parseSandboxUnit(unit) !== undefined &&
      [plugin, digest, machine, cgroup, payloadCgroup, seccomp].every(isText) &&
      (record.slot === 'a' || record.slot === 'b') &&
      [record.generation, record.uidBase, record.startTimeoutMs, record.stopTimeoutMs].every(Number.isSafeInteger) &&
      Array.isArray(record.listeners) &&
      record.listeners.every(isText) &&
      (record.rpc === undefined || isRpc(record.rpc)) &&
      [record.hostMounts, record.fillable].every((paths) => paths === undefined || areTexts(paths)) &&
      [record.drainMs, record.endsWithinMs].every((ms) => ms === undefined || Number.isSafeInteger(ms)) &&
      [record.filter, record.limits].every((digest) => digest === undefined || isText(digest)) &&
      [record.gate, record.firstGate].every((gate) => gate === undefined || isGate(gate));
    return whole ? record : undefined;
  } catch {
    return undefined;
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isRpc({ path, user, group, mode }: PlannedRpc): boolean {
  return [path, user, group].every(isText) && Number.isSafeInteger(mode);
}

function areTexts(values: unknown): boolean {
  return Array.isArray(values) && values.every(isText);
}
