import {
  beginUpgrade,
  type CommittedUpgrade,
  commitUpgrade,
  endUpgrade,
  type FailedUpgrade,
  type LiveRecord,
} from '../base/live-record.ts';
import type { LiveVersion, Order } from '../decide/order.ts';
import type { FailedPlan } from '../decide/upgrade.ts';
import type { UpgradeRecord } from './plugin-loop.ts';

export type RecordOrder = Extract<Order, { kind: UpgradeRecord }>;

/** The durable record after an order about it; the same order again changes nothing. */
export function recordAfter(record: LiveRecord, order: RecordOrder, wall: number): LiveRecord {
  switch (order.kind) {
    case 'begin-upgrade':
      return beginUpgrade(record, { version: order.version, since: wall });
    case 'commit':
      return commitUpgrade(record, committed(record, order, order.by, wall));
    case 'end-upgrade': {
      const ended = endUpgrade(record, order.failed.map(toFailed));
      const { committed: before } = record;
      // What was tried in vain says nothing of what is live, not even what the declaration named for it.
      if (before === undefined || before.version === order.version) return ended;
      return commitUpgrade(ended, committed(record, order, before.by, wall));
    }
  }
}

/** Plans that failed, as a state has them after a reboot. */
export function failedPlans({ failed }: LiveRecord): FailedPlan[] {
  return failed.map(({ digest, version, at, code, text }) => ({
    digest,
    version,
    at,
    reason: { code, text },
    incident: undefined,
  }));
}

function committed(
  { committed: before }: LiveRecord,
  { version, previous, declared }: LiveVersion,
  by: string,
  at: number,
): CommittedUpgrade {
  const isSame =
    before !== undefined && before.version === version && before.previous === previous && before.declared === declared;
  return isSame ? before : { version, previous, declared, at, by };
}

function toFailed({ digest, version, at, reason: { code, text } }: FailedPlan): FailedUpgrade {
  return { digest, version, at, code, text };
}
