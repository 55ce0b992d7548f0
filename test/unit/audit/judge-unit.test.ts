import { type BrokenCase, itFinds, withFacts, withFile, withProperty, withUnit } from '../../support/audit-changes.ts';

/** Each of these walls broken at least once. */
const BROKEN: readonly BrokenCase[] = [
  ['a unit that is gone', 'unit', 'broken', /^LoadState=not-found$/, () => withProperty('LoadState', 'not-found')],
  ['a property', 'unit', 'broken', /^DevicePolicy=auto instead of closed$/, () => withProperty('DevicePolicy', 'auto')],
  [
    'a property that is missing',
    'unit',
    'broken',
    /^TasksMax=not there instead of 53$/,
    () => withProperty('TasksMax', undefined),
  ],
  [
    'a command',
    'unit',
    'broken',
    /^ExecStart=\["\/bin\/sh",\["sh"\]\] instead of /,
    () => withProperty('ExecStart', [['/bin/sh', ['sh'], false]]),
  ],
  ['a memory limit', 'limits', 'broken', /^memory\.max max$/, () => withFile('memory.max', 'max')],
  ['a cpu limit', 'limits', 'broken', /^cpu\.max 100000 100000$/, () => withFile('cpu.max', '100000 100000')],
  ['a task limit', 'limits', 'broken', /^pids\.max 54$/, () => withFile('pids.max', '54')],
  ['a missing controller', 'limits', 'not-enforced', /^no pids\.max: /, () => withFile('pids.max', null)],
  [
    'another filter',
    'filter',
    'broken',
    /^started with another one, 0{16}$/,
    () => withUnit({ filterGiven: '0'.repeat(64) }),
  ],
  ['a filter that is not known', 'filter', 'unknown', /did not note/, () => withUnit({ filterGiven: null })],
  [
    'what was not read',
    'completeness',
    'unknown',
    /^more than 8192 threads$/,
    () => withFacts(() => ({ unread: ['more than 8192 threads'] })),
  ],
];

describe('judging a unit, its limits and its filter', () => itFinds(BROKEN));
