import {
  ASSIGNMENTS,
  BYTES,
  CAPABILITIES,
  COMMAND,
  COUNT,
  CPU_QUOTA,
  DEVICES,
  DISK_RATES,
  type Encoding,
  EXIT_STATUSES,
  FLAG,
  LOG_FIELDS,
  LOG_LEVEL,
  MODE,
  SCORE,
  SIGNAL,
  SMALL_COUNT,
  TEXT,
  TIME,
  UNITS,
} from './encoding.ts';

/** One unit setting: its key in a unit file, its name and type on D-Bus, and the declaration's key behind it. */
interface PropertyRow<Value> {
  /**
   * Section of the unit file. `Service` settings that a scope has, too, are in its `[Scope]`; `resource` settings in
   * the one that is called after the unit's type.
   */
  readonly section: 'Unit' | 'Service' | 'Mount' | 'resource';
  readonly unitKey: string;
  readonly busName: string;
  readonly encoding: Encoding<Value>;
  /** Dotted key of the declaration that decides the value; absent where bulkhead decides. */
  readonly from?: string;
}

function row<Value>(
  section: PropertyRow<Value>['section'],
  unitKey: string,
  busName: string,
  encoding: Encoding<Value>,
  from?: string,
): PropertyRow<Value> {
  return { section, unitKey, busName, encoding, ...(from === undefined ? {} : { from }) };
}

/**
 * The one table of all unit settings that bulkhead sets. The keys are plan fields; the unit-file text and the D-Bus
 * properties are both made from it. Names differ where systemd's do: `CPUQuota=` is not a D-Bus name.
 */
export const PROPERTIES = {
  description: row('Unit', 'Description', 'Description', TEXT),
  stopPropagatedFrom: row('Unit', 'StopPropagatedFrom', 'StopPropagatedFrom', UNITS),
  collectMode: row('Unit', 'CollectMode', 'CollectMode', TEXT),
  type: row('Service', 'Type', 'Type', TEXT),
  notifyAccess: row('Service', 'NotifyAccess', 'NotifyAccess', TEXT),
  remainAfterExit: row('Service', 'RemainAfterExit', 'RemainAfterExit', FLAG),
  execStart: row('Service', 'ExecStart', 'ExecStart', COMMAND, 'exec'),
  environment: row('Service', 'Environment', 'Environment', ASSIGNMENTS),
  startTimeout: row('Service', 'TimeoutStartSec', 'TimeoutStartUSec', TIME, 'health.start-timeout'),
  stopTimeout: row('Service', 'TimeoutStopSec', 'TimeoutStopUSec', TIME, 'stop.timeout'),
  killSignal: row('Service', 'KillSignal', 'KillSignal', SIGNAL),
  sendSigkill: row('Service', 'SendSIGKILL', 'SendSIGKILL', FLAG),
  killMode: row('Service', 'KillMode', 'KillMode', TEXT),
  successExitStatus: row('Service', 'SuccessExitStatus', 'SuccessExitStatus', EXIT_STATUSES, 'stop.signal'),
  oomScoreAdjust: row('Service', 'OOMScoreAdjust', 'OOMScoreAdjust', SCORE),
  oomPolicy: row('Service', 'OOMPolicy', 'OOMPolicy', TEXT),
  capabilities: row('Service', 'CapabilityBoundingSet', 'CapabilityBoundingSet', CAPABILITIES),
  noNewPrivileges: row('Service', 'NoNewPrivileges', 'NoNewPrivileges', FLAG),
  umask: row('Service', 'UMask', 'UMask', MODE),
  files: row('Service', 'LimitNOFILE', 'LimitNOFILE', COUNT, 'limits.files'),
  memoryLock: row('Service', 'LimitMEMLOCK', 'LimitMEMLOCK', BYTES, 'limits.memory-lock'),
  core: row('Service', 'LimitCORE', 'LimitCORE', BYTES, 'limits.core'),
  logInterval: row('Service', 'LogRateLimitIntervalSec', 'LogRateLimitIntervalUSec', TIME, 'limits.log.within'),
  logBurst: row('Service', 'LogRateLimitBurst', 'LogRateLimitBurst', SMALL_COUNT, 'limits.log.messages'),
  standardInput: row('Service', 'StandardInput', 'StandardInput', TEXT),
  standardOutput: row('Service', 'StandardOutput', 'StandardOutput', TEXT),
  standardError: row('Service', 'StandardError', 'StandardError', TEXT),
  syslogIdentifier: row('Service', 'SyslogIdentifier', 'SyslogIdentifier', TEXT),
  logExtraFields: row('Service', 'LogExtraFields', 'LogExtraFields', LOG_FIELDS),
  slice: row('Service', 'Slice', 'Slice', TEXT),
  delegate: row('Service', 'Delegate', 'Delegate', FLAG),
  devicePolicy: row('resource', 'DevicePolicy', 'DevicePolicy', TEXT),
  deviceAllow: row('resource', 'DeviceAllow', 'DeviceAllow', DEVICES, 'devices'),
  syslogLevel: row('resource', 'SyslogLevel', 'SyslogLevel', LOG_LEVEL),
  mountWhat: row('Mount', 'What', 'What', TEXT),
  mountType: row('Mount', 'Type', 'Type', TEXT),
  mountOptions: row('Mount', 'Options', 'Options', TEXT),
  mountLazyUnmount: row('Mount', 'LazyUnmount', 'LazyUnmount', FLAG),
  memoryMax: row('resource', 'MemoryMax', 'MemoryMax', BYTES, 'limits.memory'),
  memoryHigh: row('resource', 'MemoryHigh', 'MemoryHigh', BYTES, 'limits.memory-high'),
  swapMax: row('resource', 'MemorySwapMax', 'MemorySwapMax', BYTES, 'limits.swap'),
  cpuQuota: row('resource', 'CPUQuota', 'CPUQuotaPerSecUSec', CPU_QUOTA, 'limits.cpu'),
  cpuWeight: row('resource', 'CPUWeight', 'CPUWeight', COUNT, 'limits.cpu-weight'),
  tasksMax: row('resource', 'TasksMax', 'TasksMax', COUNT, 'limits.tasks'),
  ioWeight: row('resource', 'IOWeight', 'IOWeight', COUNT, 'limits.io-weight'),
  ioRead: row('resource', 'IOReadBandwidthMax', 'IOReadBandwidthMax', DISK_RATES, 'limits.io'),
  ioWrite: row('resource', 'IOWriteBandwidthMax', 'IOWriteBandwidthMax', DISK_RATES, 'limits.io'),
  ioReadIops: row('resource', 'IOReadIOPSMax', 'IOReadIOPSMax', DISK_RATES, 'limits.io'),
  ioWriteIops: row('resource', 'IOWriteIOPSMax', 'IOWriteIOPSMax', DISK_RATES, 'limits.io'),
} as const;

export type PropertyField = keyof typeof PROPERTIES;

type ValueOf<Field extends PropertyField> = (typeof PROPERTIES)[Field] extends PropertyRow<infer Value> ? Value : never;

/** Values by plan field; a field that is absent is not set, so that systemd's own default holds. */
export type Settings = { readonly [Field in PropertyField]?: ValueOf<Field> };

/** Name, signature and value, as StartTransientUnit and SetUnitProperties want them. */
export type BusProperty = readonly [name: string, signature: string, value: unknown];

/** One line of the unit file that would say the same, with the declaration's key behind it. */
export interface UnitLine {
  readonly section: string;
  readonly key: string;
  readonly value: string;
  readonly from: string | undefined;
}

function set(settings: Settings): [PropertyRow<unknown>, unknown][] {
  const fields = Object.keys(PROPERTIES) as PropertyField[];
  return fields
    .filter((field) => settings[field] !== undefined)
    .map((field) => [PROPERTIES[field] as PropertyRow<unknown>, settings[field]]);
}

/** Types of units that bulkhead makes, as their sections and D-Bus interfaces are called. */
export type UnitType = 'Service' | 'Scope' | 'Slice' | 'Mount';

/** The settings for D-Bus, in the table's order. */
export function busProperties(settings: Settings): BusProperty[] {
  return set(settings).map(([{ busName, encoding }, value]) => [busName, encoding.signature, encoding.bus(value)]);
}

/** The same settings as lines of a unit file of this type. */
export function unitLines(settings: Settings, unitType: UnitType): UnitLine[] {
  return set(settings).flatMap(([{ section, unitKey, encoding, from }, value]) =>
    encoding.text(value).map((text) => ({
      section: section === 'Unit' ? section : unitType,
      key: unitKey,
      value: text,
      from,
    })),
  );
}

/** Unit-file text with its sections, for people to read. */
export function unitText(settings: Settings, unitType: UnitType): string {
  const lines = unitLines(settings, unitType);
  const sections = [...new Set(lines.map(({ section }) => section))];
  return sections
    .map((name) => {
      const inside = lines.filter(({ section }) => section === name);
      return `[${name}]\n${inside.map(({ key, value }) => `${key}=${value}\n`).join('')}`;
    })
    .join('\n');
}
