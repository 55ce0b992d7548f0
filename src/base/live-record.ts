import { FAILURES, type FailureCode } from './failure.ts';
import { RecordReader } from './record-reader.ts';
import { isVersionName } from './version-name.ts';

/**
 * What is remembered of a plugin's upgrades over a reboot: which version one has made live, whether one is under way,
 * and which plans have failed. Times are wall clock, ms since 1970.
 */
export interface LiveRecord {
  /** The last upgrade that was committed; undefined while none was, so that the declaration alone says what is live. */
  readonly committed: CommittedUpgrade | undefined;
  /** An upgrade that was begun and is not over. It is over for certain after a reboot. */
  readonly underWay: UpgradeUnderWay | undefined;
  /** Plans that an upgrade had to be undone for, the last one last; not tried again by themselves. */
  readonly failed: readonly FailedUpgrade[];
}

/** Versions are undefined for a plugin that has none. */
export interface CommittedUpgrade {
  readonly version: string | undefined;
  /** What was live before: the target of a rollback. */
  readonly previous: string | undefined;
  /** The `version` of the declaration at that time. */
  readonly declared: string | undefined;
  readonly at: number;
  /** Who asked for it: `uid 0`, `reload`. */
  readonly by: string;
}

export interface UpgradeUnderWay {
  readonly version: string | undefined;
  readonly since: number;
}

export interface FailedUpgrade {
  readonly version: string | undefined;
  /** Of the plan. */
  readonly digest: string;
  readonly at: number;
  readonly code: FailureCode;
  readonly text: string;
}

export const NO_LIVE_RECORD: LiveRecord = { committed: undefined, underWay: undefined, failed: [] };

/** So many failed plans are remembered. */
export const MOST_FAILED = 20;
const LONGEST_TEXT = 500;
const LONGEST_BY = 100;

/**
 * The version that is in force: the one that an upgrade made live, as long as the declaration says what it said then.
 * Whoever edits `version` afterwards means that one.
 */
export function versionInForce({ committed }: LiveRecord, declared: string | undefined): string | undefined {
  return committed !== undefined && committed.declared === declared ? committed.version : declared;
}

export function beginUpgrade(record: LiveRecord, underWay: UpgradeUnderWay): LiveRecord {
  return { ...record, underWay };
}

/** From now on the new version is live. It is under way until the old one has ended, too. */
export function commitUpgrade(record: LiveRecord, committed: CommittedUpgrade): LiveRecord {
  return { ...record, committed: { ...committed, by: committed.by.slice(0, LONGEST_BY) } };
}

/** It is over, whichever way; these plans have failed by now, of which the last ones are remembered. */
export function endUpgrade(record: LiveRecord, failed: readonly FailedUpgrade[]): LiveRecord {
  const last = failed.slice(-MOST_FAILED).map((each) => ({ ...each, text: each.text.slice(0, LONGEST_TEXT) }));
  return { ...record, underWay: undefined, failed: last };
}

/** The form on disk. */
export function formatLiveRecord(plugin: string, { committed, underWay, failed }: LiveRecord): string {
  const stored = { format: 1, plugin, committed: committed ?? null, underWay: underWay ?? null, failed };
  return `${JSON.stringify(stored, (_key, value: unknown) => value ?? null, 1)}\n`;
}

/** @throws SyntaxError or RangeError for a text that is no record of this plugin in this format. */
export function parseLiveRecord(plugin: string, text: string): LiveRecord {
  const record = RecordReader.parse(text);
  record.exactly('format', 1);
  record.exactly('plugin', plugin);
  const committed = record.objectOrNull('committed');
  const underWay = record.objectOrNull('underWay');
  return {
    committed:
      committed === undefined
        ? undefined
        : {
            version: committed.matchingOrNull('version', isVersionName),
            previous: committed.matchingOrNull('previous', isVersionName),
            declared: committed.matchingOrNull('declared', isVersionName),
            at: committed.time('at'),
            by: committed.text('by', LONGEST_BY),
          },
    underWay:
      underWay === undefined
        ? undefined
        : { version: underWay.matchingOrNull('version', isVersionName), since: underWay.time('since') },
    failed: record.list('failed', MOST_FAILED).map((each) => ({
      version: each.matchingOrNull('version', isVersionName),
      digest: each.matching('digest', (digest) => /^[0-9a-f]{16}$/.test(digest)),
      at: each.time('at'),
      code: each.matching('code', (code) => Object.hasOwn(FAILURES, code)) as FailureCode,
      text: each.text('text', LONGEST_TEXT),
    })),
  };
}
