import type { Isolation } from '../declare/declaration.ts';
import { BOX_MOUNTS } from './box-mounts.ts';
import type { SandboxFacts, UnitFacts } from './facts.ts';
import { NSPAWN_COVERED, NSPAWN_MOUNTS } from './nspawn-mounts.ts';
import type { StandardMount } from './standard-mount.ts';

/** What is expected of a kind of isolation beside the plan. */
interface Kind {
  /** What makes the sandbox. */
  readonly maker: string;
  readonly mounts: readonly StandardMount[];
  /** Places with an empty file system over another one. */
  readonly covered: readonly string[];
  /** What is wrong with init's parent; '' for nothing. */
  readonly parent: (seen: SandboxFacts, unit: UnitFacts) => string;
}

const SPAWNER_UNIT = 'bulkhead-spawner.service';

export const KINDS: Readonly<Record<Isolation, Kind>> = {
  nspawn: {
    maker: 'nspawn',
    mounts: NSPAWN_MOUNTS,
    covered: NSPAWN_COVERED,
    parent: ({ init }, { properties }) =>
      properties.MainPID === init.parent
        ? ''
        : `init's parent is ${init.parent}, and not MainPID=${String(properties.MainPID)}`,
  },
  scope: {
    maker: 'the spawner',
    mounts: BOX_MOUNTS,
    covered: [],
    // PID 1 takes the children of a spawner that went.
    parent: ({ init, initParentUnit }) =>
      init.parent === 1 || initParentUnit === SPAWNER_UNIT
        ? ''
        : `init's parent ${init.parent} is in '${initParentUnit ?? 'no unit'}'`,
  },
};
