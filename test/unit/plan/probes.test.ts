import assert from 'node:assert/strict';
import type { Probe } from '../../../src/declare/probe.ts';
import { helperNeeds, planNetwork } from '../../../src/plan/network.ts';
import { askedProbes, asksByCommand, hasProbeSocket, metricsOptions, probeOptions } from '../../../src/plan/probes.ts';

const TIMES = { everyMs: 1000, timeoutMs: 500, misses: 3, passes: 1 };
const TCP: Probe = { kind: 'tcp', ...TIMES };
const HTTP: Probe = { kind: 'http', path: '/ready', port: 8080, ...TIMES };
const COMMAND: Probe = { kind: 'command', words: ['./check', '--all'], ...TIMES };
const NOTIFY: Probe = { kind: 'notify', ...TIMES };

const METRICS = { port: 9090, path: '/metrics', requests: 'asked_total', errors: 'failed_total' };

describe('the plan of probes', () => {
  it('is told to init option by option, those of a probe behind it', () => {
    assert.deepEqual(probeOptions({ startup: COMMAND, readiness: HTTP, liveness: NOTIFY }), [
      '--probe=startup:command:1000:500:3:1',
      '--probe-word=./check',
      '--probe-word=--all',
      '--probe=readiness:http:1000:500:3:1',
      '--probe-port=8080',
      '--probe-path=/ready',
      '--probe=liveness:notify:1000:500:3:1',
    ]);
    assert.deepEqual(probeOptions({}), []);
  });

  it('has a socket for those by a connection that name no port', () => {
    assert.equal(hasProbeSocket({ liveness: TCP }), true);
    assert.equal(hasProbeSocket({ startup: HTTP, readiness: COMMAND, liveness: NOTIFY }), false);
  });

  it('asks all but signs of life, and takes privileges for commands alone', () => {
    assert.deepEqual(askedProbes({ readiness: HTTP, liveness: NOTIFY }), [HTTP]);
    assert.equal(asksByCommand({ readiness: HTTP, liveness: NOTIFY }), false);
    assert.equal(asksByCommand({ startup: COMMAND }), true);
  });

  it('has room in the unit for whoever asks, and one process for each question', () => {
    const sandbox = { network: planNetwork({ mode: 'none', egress: [] }), listeners: [] };
    assert.equal(helperNeeds(sandbox, { liveness: NOTIFY }, undefined).tasks, 0);
    assert.deepEqual(helperNeeds(sandbox, { liveness: TCP, readiness: HTTP }, undefined), {
      tasks: 3,
      memory: 1024 ** 2,
    });
    assert.deepEqual(helperNeeds(sandbox, {}, METRICS), { tasks: 2, memory: 1024 ** 2 });
  });

  it('names to init where the program tells its figures, and what they are called', () => {
    assert.deepEqual(metricsOptions(METRICS), [
      '--metrics-port=9090',
      '--metrics-path=/metrics',
      '--metrics-requests=asked_total',
      '--metrics-errors=failed_total',
    ]);
    assert.deepEqual(metricsOptions({ port: 1, path: '/m', latency: 'seconds' }).at(-1), '--metrics-latency=seconds');
    assert.deepEqual(metricsOptions(undefined), []);
  });
});
