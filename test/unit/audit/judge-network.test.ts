import assert from 'node:assert/strict';
import type { ProcessFacts } from '../../../src/audit/facts.ts';
import { capabilityMask } from '../../../src/base/capability-mask.ts';
import type { Probe } from '../../../src/declare/probe.ts';
import { ADAPTER_UID, FORWARDER_UID, helperNeeds, planNetwork } from '../../../src/plan/network.ts';
import { PROBER_UID } from '../../../src/plan/probes.ts';
import { unitLimits } from '../../../src/unit/overhead.ts';
import { transientUnit } from '../../../src/unit/transient-unit.ts';
import { type BrokenCase, itFinds, judge, wrong } from '../../support/audit-changes.ts';
import { credentials, descriptor, type Healthy, healthySandbox } from '../../support/audit-facts.ts';

const LISTENING = new Map([
  ['10.0.0.1:5432', '501'],
  ['[2001:db8::1]:443', '502'],
  ['127.83.0.1:443', '503'],
]);

/** A sandbox with three endpoints, its forwarder and reader; and with a socket that is forwarded to a port. */
function connected(change: (facts: Healthy['facts']) => Partial<Healthy['facts']> = () => ({})): Healthy {
  const healthy = healthySandbox();
  const [main] = healthy.facts.processes;
  assert.ok(main !== undefined);
  const ids = (id: number) => Array<number>(4).fill(healthy.plan.uidBase + id);
  const helper = (id: number, fields: Partial<ProcessFacts>): ProcessFacts => ({
    ...main,
    credentials: [credentials({ uids: ids(id), gids: ids(id) })],
    descriptors: [descriptor(0, '/dev/null', { mount: 1, device: '1:3' }), descriptor(2, 'socket:[11]')],
    ...fields,
  });
  const forwarder = helper(FORWARDER_UID, {
    pid: 90,
    name: 'plugin-egress',
    namespaces: healthy.facts.hostNamespaces,
    descriptors: ['501', '502', '503'].map((inode, fd) => descriptor(fd + 4, `socket:[${inode}]`)),
  });
  const reader = helper(FORWARDER_UID, { pid: 91, name: 'egress-reader', namespaces: healthy.facts.hostNamespaces });
  const network = planNetwork({
    mode: 'egress',
    egress: [
      { host: '10.0.0.1', port: 5432, isName: false },
      { host: '2001:db8::1', port: 443, isName: false },
      { host: 'api.test', port: 443, isName: true },
    ],
  });
  const facts = {
    ...healthy.facts,
    forwarders: [forwarder, reader],
    adapter: helper(ADAPTER_UID, { pid: 103, name: 'plugin-adapter' }),
    listening: LISTENING,
    besidePayload: [...healthy.facts.besidePayload, 90, 91],
  };
  const [listener] = healthy.plan.listeners;
  assert.ok(listener !== undefined);
  const forwarded = { key: 'hello/tcp/127.0.0.1/6379', listen: { ...listener.listen, port: 6379, to: 6379 } };
  const plan = { ...healthy.plan, network, listeners: [...healthy.plan.listeners, forwarded] };
  return asPlanned({ ...healthy, plan, facts: { ...facts, ...change(facts) } });
}

/** With the unit and the limits that the plan asks for. */
function asPlanned({ plan, facts, unit, plugin }: Healthy): Healthy {
  const asked = Object.fromEntries(transientUnit(plan).properties.map(([name, , value]) => [name, value]));
  const limits = unitLimits(plan.limits, plan.isolation, helperNeeds(plan, plan.probes, plan.metrics));
  const files = {
    'memory.max': String(limits.memoryMax),
    'memory.high': String(limits.memoryHigh),
    'pids.max': String(limits.tasksMax),
  };
  return {
    plan,
    plugin,
    unit: { ...unit, properties: { ...unit.properties, ...asked } },
    facts: { ...facts, cgroupFiles: { ...facts.cgroupFiles, ...files } },
  };
}

function withForwarder(change: (each: ProcessFacts) => Partial<ProcessFacts>): Healthy {
  return connected(({ forwarders }) => ({ forwarders: forwarders.map((each) => ({ ...each, ...change(each) })) }));
}

function withAdapter(change: (each: ProcessFacts) => Partial<ProcessFacts>): Healthy {
  return connected(({ adapter }) => (adapter === undefined ? {} : { adapter: { ...adapter, ...change(adapter) } }));
}

function withNetwork(healthy: Healthy, mode: 'none' | 'host'): Healthy {
  return asPlanned({ ...healthy, plan: { ...healthy.plan, network: { mode, endpoints: [] } } });
}

const ASKED = { kind: 'tcp', port: 80, everyMs: 1000, timeoutMs: 1000, misses: 3, passes: 1 } as const;
const COMMAND = { kind: 'command', words: ['true'], everyMs: 1000, timeoutMs: 1000, misses: 3, passes: 1 } as const;

/** One whose program is asked whether it is well. */
function probed(probe: Probe, change: (prober: ProcessFacts) => Partial<ProcessFacts> = () => ({})): Healthy {
  const healthy = healthySandbox();
  const { facts } = healthy;
  const id = healthy.plan.uidBase + PROBER_UID;
  const own = credentials({ uids: Array(4).fill(id), gids: Array(4).fill(id) });
  const [main] = facts.processes;
  assert.ok(main !== undefined);
  const prober: ProcessFacts = {
    ...main,
    ...{ pid: 110, parent: facts.init.pid, innerPid: 3, name: 'plugin-prober', credentials: [own] },
    descriptors: [descriptor(0, '/dev/null', { mount: 3, device: '1:3' }), descriptor(3, 'socket:[900]')],
  };
  const command = { ...main, pid: 111, parent: 110, innerPid: 5, name: 'check' };
  return asPlanned({
    ...healthy,
    plan: { ...healthy.plan, probes: { liveness: probe } },
    facts: {
      ...facts,
      prober: { ...prober, ...change(prober) },
      processes: [...facts.processes, ...(probe.kind === 'command' ? [command] : [])],
    },
  });
}

function withCapabilities(...names: string[]): (prober: ProcessFacts) => Partial<ProcessFacts> {
  const set = capabilityMask(names);
  return ({ credentials: all }) => ({
    credentials: all.map((each) => ({ ...each, capabilities: [0n, set, set, 0n, 0n] })),
  });
}

const BROKEN: readonly BrokenCase[] = [
  [
    'a prober that is missing',
    'network',
    'broken',
    /^the prober is missing$/,
    () => ({ ...probed(ASKED), facts: { ...probed(ASKED).facts, prober: undefined } }),
  ],
  [
    'a prober that nobody planned',
    'network',
    'broken',
    /^the prober is not planned$/,
    () => asPlanned({ ...probed(ASKED), plan: { ...probed(ASKED).plan, probes: {} } }),
  ],
  [
    'a prober with a capability that it does not need',
    'network',
    'broken',
    /^process 110 'plugin-prober': capabilities CAP_SETUID$/,
    () => probed(ASKED, withCapabilities('CAP_SETUID')),
  ],
  [
    'a prober for commands with a capability that none of them needs',
    'network',
    'broken',
    /^process 110 'plugin-prober': capabilities CAP_SETUID CAP_SYS_ADMIN$/,
    () => probed(COMMAND, withCapabilities('CAP_SETUID', 'CAP_SYS_ADMIN')),
  ],
  [
    'an interface',
    'network',
    'broken',
    /^interface eth0$/,
    () => connected(({ interfaces }) => ({ interfaces: [...interfaces, { name: 'eth0', idle: true }] })),
  ],
  [
    'an endpoint that is not there',
    'network',
    'broken',
    /^nothing listens at \[2001:db8::1\]:443$/,
    () => connected(() => ({ listening: new Map([...LISTENING].filter(([, inode]) => inode !== '502')) })),
  ],
  [
    'an endpoint that somebody else has',
    'network',
    'broken',
    /^the socket at 127\.83\.0\.1:443 is not the forwarder's$/,
    () => connected(() => ({ listening: new Map([...LISTENING, ['127.83.0.1:443', '777']]) })),
  ],
  [
    'a reader that is missing',
    'network',
    'broken',
    /^1 processes of the forwarder instead of 2$/,
    () =>
      connected(({ forwarders, besidePayload }) => ({
        forwarders: forwarders.slice(0, 1),
        besidePayload: besidePayload.slice(0, -1),
      })),
  ],
  [
    'a forwarder with a capability',
    'network',
    'broken',
    /^process 90 'plugin-egress': capabilities CAP_NET_ADMIN$/,
    () =>
      withForwarder(({ pid, credentials: [own] }) =>
        pid === 90 && own !== undefined
          ? { credentials: [{ ...own, capabilities: [0n, capabilityMask(['CAP_NET_ADMIN']), 0n, 0n, 0n] }] }
          : {},
      ),
  ],
  [
    'a forwarder with a file',
    'network',
    'broken',
    /^process 91 'egress-reader': descriptor 5 is \/etc\/shadow$/,
    () => withForwarder(({ pid }) => (pid === 91 ? { descriptors: [descriptor(5, '/etc/shadow', { mount: 1 })] } : {})),
  ],
  [
    'a forwarder in the network of the sandbox',
    'network',
    'broken',
    /^process 91 'egress-reader': another net namespace$/,
    () => withForwarder(({ pid, namespaces }) => (pid === 91 ? { namespaces: { ...namespaces, net: 'net:[2]' } } : {})),
  ],
  [
    'an adapter without a filter',
    'network',
    'broken',
    /^process 103 'plugin-adapter': seccomp mode 0$/,
    () => withAdapter(({ credentials: all }) => ({ credentials: all.map((each) => ({ ...each, seccompMode: 0 })) })),
  ],
  [
    'an adapter with other ids',
    'network',
    'broken',
    /^process 103 'plugin-adapter': ids 0 0 0 0 /,
    () =>
      withAdapter(({ credentials: all }) => ({ credentials: all.map((each) => ({ ...each, uids: [0, 0, 0, 0] })) })),
  ],
  [
    'an adapter elsewhere',
    'network',
    'broken',
    /^process 103 'plugin-adapter': another net namespace$/,
    () => withAdapter(({ namespaces }) => ({ namespaces: { ...namespaces, net: 'net:[1]' } })),
  ],
  ['no adapter', 'network', 'broken', /^the adapter is missing$/, () => connected(() => ({ adapter: undefined }))],
  [
    'a forwarder where none is planned',
    'network',
    'broken',
    /^2 processes of the forwarder instead of 0$/,
    () => withNetwork(connected(), 'none'),
  ],
];

describe('the audit of the network', () => {
  it('finds all well with endpoints, forwarder and adapter', () => {
    assert.deepEqual(wrong(connected()), []);
  });

  it('finds all well with a prober, and with the privileges that commands take', () => {
    assert.deepEqual(wrong(probed(ASKED)), []);
    assert.deepEqual(
      wrong(probed(COMMAND, withCapabilities('CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP', 'CAP_KILL'))),
      [],
    );
  });

  it("tells aloud of the host's network, and does not want another one", () => {
    const healthy = healthySandbox();
    const { init, processes, hostNamespaces } = healthy.facts;
    const shared = (each: ProcessFacts): ProcessFacts => ({
      ...each,
      namespaces: { ...each.namespaces, net: hostNamespaces.net },
      descriptors: each.descriptors.filter(({ target }) => !target.startsWith('net:')),
    });
    const facts = {
      ...healthy.facts,
      init: shared(init),
      processes: processes.map(shared),
      interfaces: [{ name: 'eth0', idle: false }],
    };
    const declared = withNetwork({ ...healthy, facts }, 'host');
    assert.deepEqual(wrong(declared), []);
    const told = judge(declared).find(({ wall }) => wall === 'network');
    assert.match(told?.seen ?? '', /^the network of the HOST: /);
    const asked = wrong({ ...healthy, facts }).map(({ wall }) => wall);
    assert.deepEqual(asked, ['namespaces', 'network']);
  });

  itFinds(BROKEN);
});
