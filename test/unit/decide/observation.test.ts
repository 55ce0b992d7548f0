import assert from 'node:assert/strict';
import { statusLine } from '../../../src/decide/status-line.ts';
import { describeExit } from '../../../src/diagnose/exit.ts';
import { examplePlan } from '../../support/plans.ts';
import { SimulatedMachine } from './simulated-machine.ts';

describe('the end of a payload in words', () => {
  it('names status and signal', () => {
    assert.equal(describeExit({ how: 'exited', status: 3 }), 'exit status 3');
    assert.equal(describeExit({ how: 'dumped', status: 11 }), 'killed by SIGSEGV (core dumped)');
    assert.equal(describeExit({ how: 'killed', status: 40 }), 'killed by signal 40');
    assert.equal(describeExit({ how: 'killed', status: 31 }), 'killed by SIGSYS');
    assert.equal(describeExit({ how: 'unknown', status: 0 }), 'ended without a report');
    for (const [lostHelper, words] of [
      ['egress', /forwarder/],
      ['adapter', /adapter/],
      ['prober', /prober/],
    ] as const)
      assert.match(describeExit({ how: 'killed', status: 9, lostHelper }), words);
  });

  it('names a forbidden call, if it is known', () => {
    const exit = { how: 'killed', status: 31 } as const;
    const forbidden = { call: 'ptrace', pid: 2, tid: 5 };
    assert.equal(describeExit({ ...exit, forbidden }), "forbidden system call 'ptrace' (134)");
    const unknown = { call: 'unknown', pid: 0, tid: 0 };
    assert.equal(describeExit({ ...exit, forbidden: unknown }), 'forbidden system call (134)');
  });

  it('a forbidden call goes into the status and, with its thread, into the history', () => {
    const unit = 'plugin-hello-a-g1.service';
    const machine = new SimulatedMachine(examplePlan()).started();
    const forbidden = { call: 'ptrace', pid: 2, tid: 5 };
    machine.observe({ kind: 'exited', unit, exit: { how: 'killed', status: 31, forbidden } });
    assert.match(statusLine(machine.state), /BH304 .*forbidden system call 'ptrace' \(134\)/);
    const notes = machine.orders.filter((order) => order.kind === 'note').filter(({ what }) => what === 'died');
    assert.deepEqual(
      notes.map((note) => [note.unit, note.text, note.forbidden]),
      [[unit, "forbidden system call 'ptrace' (134)", forbidden]],
    );
  });
});
