import { completeDeclaration } from '../../src/declare/complete.ts';
import type { Declaration, Isolation } from '../../src/declare/declaration.ts';
import type { PluginPlan } from '../../src/plan/plan.ts';

/** What a test wants different from an ordinary small plugin. */
export interface PlanWishes {
  readonly size?: number;
  readonly standby?: number;
  readonly digest?: string;
  readonly limitsDigest?: string;
  readonly limits?: Partial<PluginPlan['limits']>;
  readonly isolation?: Isolation;
  readonly restarts?: number;
  readonly withinMs?: number;
  readonly resetMs?: number;
  readonly health?: Partial<Declaration['health']>;
  readonly upgrade?: Partial<Declaration['upgrade']>;
  readonly rpc?: Declaration['rpc'];
  readonly chains?: Partial<Declaration['recovery']['chains']>;
}

/** A plan as the pure stages would make it, for tests of decisions that never look at most of it. */
export function examplePlan(wishes: PlanWishes = {}): PluginPlan {
  const defaults = completeDeclaration({ name: 'hello' });
  const declaration: Declaration = {
    name: 'hello',
    description: '',
    templates: ['native'],
    version: 'v1',
    exec: ['./main'],
    environment: {},
    listen: [],
    ...(wishes.rpc === undefined ? {} : { rpc: wishes.rpc }),
    network: { mode: 'none', egress: [] },
    pool: { size: wishes.size ?? 2, standby: wishes.standby ?? 0 },
    view: { root: 'host', tmp: 64 << 20, tmpfs: [] },
    isolation: wishes.isolation ?? 'nspawn',
    state: { path: undefined, quota: 'infinity' },
    credentials: [],
    devices: [],
    seccomp: 'native',
    allow: [],
    programs: 'any',
    capabilities: [],
    limits: {
      memory: { percent: 20 },
      memoryHigh: { percent: 75 },
      swap: { bytes: 0 },
      cpu: 'infinity',
      cpuWeight: 100,
      tasks: 50,
      files: 1024,
      ioWeight: 100,
      io: [],
      memoryLock: 65_536,
      core: 0,
      log: { messages: 2000, withinMs: 10_000 },
    },
    health: { ...defaults.health, ...wishes.health },
    stop: { signal: 'SIGTERM', timeoutMs: 30_000 },
    recovery: {
      backoff: { initialMs: 100, maxMs: 10_000, factor: 2, jitter: 0, resetMs: wishes.resetMs ?? 60_000 },
      budget: { restarts: wishes.restarts ?? 5, withinMs: wishes.withinMs ?? 60_000 },
      chains: { ...defaults.recovery.chains, ...wishes.chains },
    },
    upgrade: { ...defaults.upgrade, ...wishes.upgrade },
    versions: defaults.versions,
    schedule: [],
  };
  return {
    plugin: 'hello',
    version: 'v1',
    declaration,
    origins: new Map(),
    anchorUnit: 'plugin@hello.service',
    sliceUnit: 'plugin-hello.slice',
    size: declaration.pool.size,
    listeners: [],
    network: { mode: 'none', endpoints: [] },
    seccomp: 'native',
    limits: {
      memoryMax: 1,
      memoryHigh: 1,
      swapMax: 0,
      cpuQuotaPerSecUsec: 'infinity',
      cpuWeight: 100,
      tasksMax: 50,
      files: 1024,
      ioWeight: 100,
      io: [],
      memoryLock: 65_536,
      core: 0,
      log: { messages: 2000, withinMs: 10_000 },
      ...wishes.limits,
    },
    image: undefined,
    versionImage: undefined,
    credentials: [],
    digest: wishes.digest ?? 'd1',
    limitsDigest: wishes.limitsDigest ?? 'l1',
  };
}
