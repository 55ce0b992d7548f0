import assert from 'node:assert/strict';
import { TEXT } from '../../../src/unit/encoding.ts';
import { busProperties, PROPERTIES, type Settings, unitLines, unitText } from '../../../src/unit/properties.ts';
import { quoteWord } from '../../../src/unit/quote.ts';

const SETTINGS: Settings = {
  description: '100% "sure"',
  type: 'notify',
  execStart: ['/usr/bin/x', 'a b', '', '$HOME', '50%', "it's", 'back\\slash', 'ä', 'line\nbreak'],
  environment: ['A=b c', 'D=e'],
  startTimeout: 35_000,
  stopTimeout: 500,
  successExitStatus: [143, 130],
  logExtraFields: ['BULKHEAD_PLUGIN=x'],
  stopPropagatedFrom: ['plugin@x.service'],
  delegate: true,
  memoryMax: 268_435_456,
  memoryHigh: 1_604_194_304,
  swapMax: 0,
  cpuQuota: 1_500_000,
  tasksMax: 'infinity',
};

describe('the table of properties', () => {
  it('has each name once', () => {
    const rows = Object.values(PROPERTIES);
    for (const name of ['busName', 'unitKey'] as const)
      assert.equal(new Set(rows.map((row) => `${row.section} ${row[name]}`)).size, rows.length);
  });

  it('uses the signatures that systemd accepts', () => {
    const signature = (name: string) =>
      Object.values(PROPERTIES).find(({ busName }) => busName === name)?.encoding.signature;
    const measured = {
      Description: 's',
      ExecStart: 'a(sasb)',
      Environment: 'as',
      MemoryMax: 't',
      MemorySwapMax: 't',
      TasksMax: 't',
      CPUQuotaPerSecUSec: 't',
      CPUWeight: 't',
      TimeoutStopUSec: 't',
      SuccessExitStatus: '(aiai)',
      LogExtraFields: 'aay',
      LimitNOFILE: 't',
      Delegate: 'b',
      StopPropagatedFrom: 'as',
      OOMScoreAdjust: 'i',
      OOMPolicy: 's',
      KillMode: 's',
      CollectMode: 's',
      NotifyAccess: 's',
      Slice: 's',
      SyslogIdentifier: 's',
    };
    for (const [name, expected] of Object.entries(measured)) assert.equal(signature(name), expected, name);
  });

  it('encodes for D-Bus', () => {
    const properties = new Map(busProperties(SETTINGS).map(([name, signature, value]) => [name, [signature, value]]));
    assert.deepEqual(properties.get('TimeoutStartUSec'), ['t', 35_000_000]);
    const argv = (SETTINGS.execStart ?? []).map((word) => (word === '$HOME' ? '$$HOME' : word));
    assert.deepEqual(properties.get('ExecStart'), ['a(sasb)', [['/usr/bin/x', argv, false]]]);
    assert.deepEqual(properties.get('SuccessExitStatus'), ['(aiai)', [[143, 130], []]]);
    assert.deepEqual(properties.get('TasksMax'), ['t', 'infinity']);
    assert.deepEqual(properties.get('LogExtraFields'), ['aay', [new TextEncoder().encode('BULKHEAD_PLUGIN=x')]]);
    assert.equal(properties.has('KillMode'), false);
  });

  it('writes the unit file that says the same', () => {
    assert.equal(
      unitText(SETTINGS, 'Service'),
      `[Unit]
Description=100%% "sure"
StopPropagatedFrom=plugin@x.service

[Service]
Type=notify
ExecStart=/usr/bin/x "a b" "" $$HOME 50%% "it's" "back\\\\slash" ä "line\\nbreak"
Environment="A=b c"
Environment=D=e
TimeoutStartSec=35s
TimeoutStopSec=500ms
SuccessExitStatus=143 130
LogExtraFields=BULKHEAD_PLUGIN=x
Delegate=yes
MemoryMax=256M
MemoryHigh=1604194304
MemorySwapMax=0
CPUQuota=150%
TasksMax=infinity
`,
    );
  });

  it('puts resource settings into the section of the unit type, with the key of the declaration', () => {
    assert.deepEqual(unitLines({ memoryMax: 1024 }, 'Slice'), [
      { section: 'Slice', key: 'MemoryMax', value: '1K', from: 'limits.memory' },
    ]);
  });

  it('quotes only what needs it', () => {
    assert.equal(quoteWord('--env=A=b'), '--env=A=b');
    assert.equal(quoteWord('\x01"'), '"\\x01\\""');
    assert.deepEqual(TEXT.text('%i'), ['%%i']);
  });
});
