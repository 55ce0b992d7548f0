import type { Draft } from './draft.ts';
import type { Observation } from './observation.ts';
import { rollbackAsked, upgradeAsked } from './upgrade-ask.ts';
import { signalled } from './upgrade-canary.ts';
import { committed, notCommitted } from './upgrade-commit.ts';
import { sharesSeen } from './upgrade-drive.ts';
import { ended } from './upgrade-end.ts';
import { notSwitched, switched } from './upgrade-in-place.ts';
import { planned, refused, verified } from './upgrade-plan.ts';

type UpgradeSeen = Extract<
  Observation,
  {
    kind:
      | 'upgrade-asked'
      | 'rollback-asked'
      | 'upgrade-planned'
      | 'upgrade-unplannable'
      | 'verified'
      | 'unverified'
      | 'weighed'
      | 'not-weighed'
      | 'upgrade-ended'
      | 'committed'
      | 'not-committed'
      | 'switched'
      | 'not-switched'
      | 'signals';
  }
>;

/** What is seen of an upgrade: wishes, answers to its orders, and how both sides do. */
export function upgradeSeen(draft: Draft, seen: UpgradeSeen): void {
  switch (seen.kind) {
    case 'upgrade-asked':
      return upgradeAsked(draft, seen);
    case 'rollback-asked':
      return rollbackAsked(draft, seen);
    case 'upgrade-planned':
      return planned(draft, seen);
    case 'upgrade-unplannable':
      return refused(draft, seen.id, 'planning', seen.reason);
    case 'verified':
      return verified(draft, seen);
    case 'unverified':
      return refused(draft, seen.id, 'verifying', seen.reason);
    case 'weighed':
    case 'not-weighed':
      return sharesSeen(draft, seen);
    case 'upgrade-ended':
      return ended(draft);
    case 'committed':
      return committed(draft, seen.id);
    case 'not-committed':
      return notCommitted(draft, seen.id, seen.reason);
    case 'switched':
      return switched(draft, seen);
    case 'not-switched':
      return notSwitched(draft, seen.id, seen.reason);
    case 'signals':
      return signalled(draft, seen);
  }
}
