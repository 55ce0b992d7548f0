/** Serves the control API over the real system bus with one plugin that is made up, to test the API without bulkheadd. */
import { Failure } from '../../../src/base/failure.ts';
import type { EventKind, EventRecord, PluginState, PluginStatus } from '../../../src/control/api.ts';
import { serveManager } from '../../../src/control/manager-interface.ts';
import { MANAGER_NAME } from '../../../src/control/wire-names.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { EventRing } from '../../../src/record/event-ring.ts';
import { SYSTEM_BUS_SOCKET } from '../../../src/systemd/address.ts';
import { Bus } from '../../../src/systemd/bus.ts';
import { SERVICE_MAX_INCOMING_BYTES, Service } from '../../../src/systemd/service.ts';

const report = (thrown: unknown) => process.stderr.write(`defect: ${String(thrown)}\n`);
const ring = new EventRing<EventKind>(1000);
let state: PluginState = 'stopped';

function happen(kind: EventKind, text: string): void {
  ring.add({ at: Date.now(), plugin: 'hello', unit: null, kind, code: null, text });
}

function status(name: string): PluginStatus {
  if (name !== 'hello') throw new Failure('BH404', `'${name}'`);
  const runs = state === 'running';
  return {
    ...{
      name,
      state,
      version: 'v1',
      ready: runs ? 1 : 0,
      size: 1,
      line: runs ? '1/1 ready, v1' : 'stopped',
      reason: null,
    },
    ...{
      declaration: ['/etc/bulkhead/plugins/hello.yaml'],
      description: 'a stand-in',
      anchorUnit: 'plugin@hello.service',
    },
    ...{
      sliceUnit: 'plugin-hello.slice',
      slot: 'a',
      seccomp: 'native',
      listeners: [],
      sandboxes: [],
      nextStartMs: null,
    },
    restarts: { recent: 0, budget: 5, withinMs: 60_000, total: 0 },
  };
}

const bus = new Bus({
  ...{ name: 'service bus', sockets: [SYSTEM_BUS_SOCKET], kind: 'bus' as const, clock: systemClock },
  ...{ onDefect: report, maxIncomingBytes: SERVICE_MAX_INCOMING_BYTES },
});
const service = new Service({ bus, name: MANAGER_NAME, clock: systemClock, onDefect: report });
serveManager(
  service,
  {
    version: '0.1.0',
    list: async () => [status('hello')],
    status: async (name) => status(name),
    plan: async (name) => ({
      plugin: status(name).name,
      version: 'v1',
      digest: '',
      sections: [],
      differences: [],
      compared: true,
    }),
    auditWalls: async (name) => ({
      plugin: status(name).name,
      state,
      digest: '',
      verdict: null,
      slice: [],
      sandboxes: [],
      notCompared: [],
    }),
    events: (after, limit) => ring.after(after, limit) as readonly EventRecord[],
    control: async (name, verb) => {
      status(name);
      happen(verb === 'stop' ? 'stopping' : 'starting', `${verb} was asked`);
      await new Promise((resolve) => setTimeout(resolve, 300));
      state = verb === 'stop' ? 'stopped' : 'running';
      happen(verb === 'stop' ? 'stopped' : 'ready', `${verb} is done`);
    },
    onEvent: (listener) => ring.listen(listener),
  },
  systemClock,
);
service.start();
