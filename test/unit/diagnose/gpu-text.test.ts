import assert from 'node:assert/strict';
import { parseUncorrected, parseXids, plainBus } from '../../../src/diagnose/gpu-text.ts';

describe('what is told of GPUs', () => {
  it('is known by one name for each bus', () => {
    for (const bus of ['00000000:3B:00.0', '0000:3b:00.0', '0000:3b:00', '3b:00.0'])
      assert.equal(plainBus(bus), '3b:00');
    assert.equal(plainBus('soc:gpu'), 'soc:gpu');
  });

  it('has counts of errors where the hardware has them', () => {
    const text = '00000000:01:00.0, 0\n00000000:3B:00.0, 12\n00000000:AF:00.0, [N/A]\nFailed to initialize NVML\n';
    assert.deepEqual(
      [...parseUncorrected(text)],
      [
        ['01:00', 0],
        ['3b:00', 12],
      ],
    );
  });

  it('has the last error of the hardware, and not those of programs', () => {
    const text = [
      'NVRM: Xid (PCI:0000:01:00): 48, pid=1, DBE',
      "NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', GPU has fallen off the bus.",
      'NVRM: Xid (PCI:0000:3b:00): 13, pid=2, Graphics Exception',
      'NVRM: Xid (PCI:0000:3b:00): 123456, what',
    ];
    assert.deepEqual([...parseXids(text.join('\n'))], [['01:00', 79]]);
  });
});
