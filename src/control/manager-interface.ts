import type { Clock, Owned } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { owned } from '../base/owner.ts';
import { isVersionName } from '../base/version-name.ts';
import type { Service } from '../systemd/service.ts';
import type { Argument, ServiceCall, ServiceMethod, ServiceObject } from '../systemd/service-table.ts';
import type { Caller, Supervisor } from './api.ts';
import { EventSignal } from './event-signal.ts';
import type { ControlVerb, OrderVerb } from './manager.ts';
import { requireIncidentId, requirePluginName } from './plugin-argument.ts';
import { toRow } from './summary-row.ts';
import { fromWire, requireVersion, requireWhy } from './upgrade-options.ts';
import { MANAGER_INTERFACE, MANAGER_PATH } from './wire-names.ts';

/**
 * Actions of org.bulkhead.policy. Reading is allowed to everybody on this host as shipped: states, plans and events hold
 * names, paths, limits and what plugins say about themselves, but no request and no response. A plan also shows the
 * environment that a declaration gives; every local user sees that in the sandbox's command line, too, which is why
 * secrets do not belong there. A site that sees it differently restricts `org.bulkhead.read` by a polkit rule; nothing
 * but the version and the number of events goes around it. Managing asks for an administrator's password. So does an
 * audit: it tells what /proc shows to root alone (open descriptors, mounts, names in the environment), and is work.
 * Inspecting asks for one, too, but is an action of its own: who looks into incidents at night need not be who starts and
 * stops plugins.
 */
const READ = 'org.bulkhead.read';
const MANAGE = 'org.bulkhead.manage';
const INSPECT = 'org.bulkhead.inspect';

/** Events in one answer: as many as the supervisor keeps. */
const MOST_EVENTS = 1000;

/** Incidents in one answer. */
const MOST_INCIDENTS = 1000;

/** A run that learns takes so long at most; a caller waits for all of it. */
const LONGEST_LEARN_S = 600;

const NAME: Argument = { name: 'name', type: 's' };
const JSON_OUT: Argument = { name: 'json', type: 's' };

/** Exports the manager and tells of new events until released. The service is started by who made it. */
export function serveManager(service: Service, supervisor: Supervisor, clock: Clock): Owned {
  const object = service.export(MANAGER_PATH, managerObject(supervisor));
  const signal = new EventSignal(supervisor, clock, (newest) => {
    service.emit(MANAGER_PATH, MANAGER_INTERFACE, 'EventAdded', [newest]);
  });
  return owned(() => {
    signal.release();
    object.release();
  });
}

/** The object at /org/bulkhead/Manager1: the whole public D-Bus API, with its documentation. */
export function managerObject(supervisor: Supervisor): ServiceObject {
  return {
    [MANAGER_INTERFACE]: {
      doc: 'The supervisor of plugins. Errors are named org.bulkhead.Error.BHnnn, with the text, then the advice on a line of its own. JSON fields are described in bulkheadctl(1).',
      methods: {
        ListPlugins: {
          doc: `All declared or running plugins: name, state, version, status line, ready sandboxes, wanted sandboxes, code and text of the reason when something is wrong; what does not apply is ''. Needs ${READ}.`,
          in: [],
          out: [{ name: 'plugins', type: 'a(ssssuuss)' }],
          run: async (call) => {
            await call.authorize(READ);
            return [(await supervisor.list()).map(toRow)];
          },
        },
        GetStatus: aboutPlugin('The state of one plugin and its sandboxes, as JSON.', async (name) =>
          supervisor.status(name),
        ),
        GetPlan: aboutPlugin(
          'Everything that a plugin consists of, with origins, and the difference to what runs, as JSON.',
          async (name) => supervisor.plan(name),
        ),
        AuditPlugin: {
          doc: `Reads all living processes of the plugin's sandboxes and compares them with the plan in force, wall by wall, as JSON. Needs ${MANAGE}; rules of polkit see the details 'plugin' and 'verb'.`,
          in: [NAME],
          out: [JSON_OUT],
          run: async (call) => {
            const name = requirePluginName(call.arguments[0]);
            await call.authorize(MANAGE, { plugin: name, verb: 'audit' });
            return [JSON.stringify(await supervisor.auditWalls(name))];
          },
        },
        LearnPlugin: {
          doc: `Runs one more sandbox of the plugin for so many seconds (1 to ${LONGEST_LEARN_S}), in which its system calls are noted, and answers after that with the smallest seccomp profile for it and the difference to what it has, as JSON. Needs ${MANAGE}; rules of polkit see the details 'plugin' and 'verb'.`,
          in: [NAME, { name: 'seconds', type: 'u' }],
          out: [JSON_OUT],
          run: async (call) => {
            const name = requirePluginName(call.arguments[0]);
            const seconds = Number(call.arguments[1]);
            if (!(seconds >= 1 && seconds <= LONGEST_LEARN_S))
              throw new Failure('BH405', `'seconds' is not from 1 to ${LONGEST_LEARN_S}`);
            await call.authorize(MANAGE, { plugin: name, verb: 'learn' });
            return [JSON.stringify(await supervisor.learn(name, seconds, await callerOf(call)))];
          },
        },
        ExplainPlugin: aboutPlugin(
          'Why the plugin is as it is: what failed last, the evidence, what was done, and what to do, as JSON.',
          async (name) => supervisor.why(name),
        ),
        ListIncidents: {
          doc: `Incidents of a plugin, or of all for '', newest first, at most 'limit' and at most ${MOST_INCIDENTS}, as a JSON array. Needs ${READ}.`,
          in: [NAME, { name: 'limit', type: 'u' }],
          out: [JSON_OUT],
          run: async (call) => {
            const name = call.arguments[0] === '' ? '' : requirePluginName(call.arguments[0]);
            const limit = Math.min(Number(call.arguments[1]), MOST_INCIDENTS);
            await call.authorize(READ);
            return [JSON.stringify(await supervisor.incidents(name, limit))];
          },
        },
        GetIncident: {
          doc: `An incident with its evidence but for the core dump, as JSON. Needs ${INSPECT}: the last lines of a plugin's journal and its open files are among it.`,
          in: [{ name: 'id', type: 's' }],
          out: [JSON_OUT],
          run: async (call) => {
            const id = requireIncidentId(call.arguments[0]);
            await call.authorize(INSPECT, { incident: id });
            return [JSON.stringify(supervisor.incident(id))];
          },
        },
        ReleasePlugin: order('release', 'Lets the plugin out of quarantine.', supervisor),
        RecyclePlugin: order(
          'recycle',
          'Replaces the sandboxes of the plugin one after the other, the new one first; answers when that has begun.',
          supervisor,
        ),
        NoteVersion: {
          doc: `Tells the supervisor that a version of a plugin was 'installed' or 'removed', for its events; it changes nothing. Needs ${MANAGE}; rules of polkit see the details 'plugin', 'verb' and 'version'.`,
          in: [NAME, { name: 'version', type: 's' }, { name: 'what', type: 's' }],
          out: [],
          run: async (call) => {
            const name = requirePluginName(call.arguments[0]);
            const [, version, what] = call.arguments;
            if (typeof version !== 'string' || !isVersionName(version))
              throw new Failure('BH405', "'version' is not the name of a version");
            if (what !== 'installed' && what !== 'removed')
              throw new Failure('BH405', "'what' is neither 'installed' nor 'removed'");
            await call.authorize(MANAGE, { plugin: name, verb: 'note-version', version });
            supervisor.noteVersion(name, { version, what }, await callerOf(call));
            return [];
          },
        },
        UpgradePlugin: {
          doc: `Begins a change of the plugin to a version, or for '' to its declaration as it is now, and answers with the id of the change. Options: 'canary', ascending percents such as '5,25'; 'bake', a duration; 'force', 'yes' to try again what failed before, and to leave a version that is damaged, without a way back; 'why', a text for the audit trail. Needs ${MANAGE}; rules of polkit see the details 'plugin', 'verb' and 'version'.`,
          in: [NAME, { name: 'version', type: 's' }, { name: 'options', type: 'a{ss}' }],
          out: [{ name: 'id', type: 's' }],
          run: async (call) => {
            const name = requirePluginName(call.arguments[0]);
            const version = requireVersion(call.arguments[1]);
            const options = fromWire(call.arguments[2]);
            await call.authorize(MANAGE, { plugin: name, verb: 'upgrade', version });
            return [await supervisor.upgrade(name, version, options, await callerOf(call))];
          },
        },
        RollbackPlugin: {
          doc: `Undoes the change of version that is under way, or goes back to the version before at once; answers with the id of the change. The reason, or '', is for the audit trail. Needs ${MANAGE}; rules of polkit see the details 'plugin' and 'verb'.`,
          in: [NAME, { name: 'reason', type: 's' }],
          out: [{ name: 'id', type: 's' }],
          run: async (call) => {
            const name = requirePluginName(call.arguments[0]);
            const why = call.arguments[1] === '' ? '' : requireWhy(String(call.arguments[1]), 'BH405');
            await call.authorize(MANAGE, { plugin: name, verb: 'rollback' });
            return [supervisor.rollback(name, why, await callerOf(call))];
          },
        },
        GetUpgrade: aboutPlugin(
          'The change of version that is under way with the signals of both sides, the last one, the version before, and those that failed, as JSON. Nothing is read for it.',
          async (name) => supervisor.upgradeReport(name),
        ),
        GetNode: {
          doc: `The health of the node as it was last seen, beside the thresholds, as JSON. Needs ${READ}.`,
          in: [],
          out: [JSON_OUT],
          run: async (call) => {
            await call.authorize(READ);
            return [JSON.stringify(supervisor.node())];
          },
        },
        GetLoad: {
          doc: `What all sandboxes use, as of their last heartbeats, as JSON; nothing is read for it. Needs ${READ}.`,
          in: [],
          out: [JSON_OUT],
          run: async (call) => {
            await call.authorize(READ);
            return [JSON.stringify(await supervisor.load())];
          },
        },
        GetEvents: {
          doc: `Events with a number greater than 'after', oldest first, at most 'limit' and at most ${MOST_EVENTS}, as a JSON array. Needs ${READ}.`,
          in: [
            { name: 'after', type: 't' },
            { name: 'limit', type: 'u' },
          ],
          out: [JSON_OUT],
          run: async (call) => {
            const after = eventNumber(call.arguments[0]);
            const limit = Math.min(Number(call.arguments[1]), MOST_EVENTS);
            await call.authorize(READ);
            return [JSON.stringify(supervisor.events(after, limit))];
          },
        },
        StartPlugin: control('start', 'Starts plugin@NAME.service and answers when the job is done.', supervisor),
        StopPlugin: control(
          'stop',
          'Stops plugin@NAME.service and all sandboxes, and answers when they are gone.',
          supervisor,
        ),
        RestartPlugin: control(
          'restart',
          'Stops and starts plugin@NAME.service; a failed plugin gets a new restart budget.',
          supervisor,
        ),
      },
      properties: {
        Version: {
          doc: 'Version of the running supervisor.',
          type: 's',
          emits: 'const',
          read: () => supervisor.version,
        },
        LastEvent: {
          doc: 'Number of the newest event, 0 for none.',
          type: 't',
          emits: 'false',
          read: () => supervisor.events(0, MOST_EVENTS).at(-1)?.number ?? 0,
        },
      },
      signals: {
        EventAdded: {
          doc: 'There are new events; the number is that of the newest. Several events within a tenth of a second share a signal. GetEvents tells what happened.',
          arguments: [{ name: 'newest', type: 't' }],
        },
      },
    },
  };
}

/** A question about one plugin. The name is looked at before anything else, so that rubbish never gets to polkit. */
function aboutPlugin(doc: string, answer: (name: string) => Promise<unknown>): ServiceMethod {
  return {
    doc: `${doc} Needs ${READ}.`,
    in: [NAME],
    out: [JSON_OUT],
    run: async (call) => {
      const name = requirePluginName(call.arguments[0]);
      await call.authorize(READ, { plugin: name });
      return [JSON.stringify(await answer(name))];
    },
  };
}

function control(verb: ControlVerb, doc: string, supervisor: Supervisor): ServiceMethod {
  return {
    doc: `${doc} Needs ${MANAGE}; rules of polkit see the details 'plugin' and 'verb'.`,
    in: [NAME],
    out: [],
    run: async (call: ServiceCall) => {
      const name = requirePluginName(call.arguments[0]);
      await call.authorize(MANAGE, { plugin: name, verb });
      await supervisor.control(name, verb, await callerOf(call));
      return [];
    },
  };
}

/** Something that the supervisor does at once. */
function order(verb: OrderVerb, doc: string, supervisor: Supervisor): ServiceMethod {
  return {
    doc: `${doc} Needs ${MANAGE}; rules of polkit see the details 'plugin' and 'verb'.`,
    in: [NAME],
    out: [],
    run: async (call: ServiceCall) => {
      const name = requirePluginName(call.arguments[0]);
      await call.authorize(MANAGE, { plugin: name, verb });
      supervisor.order(name, verb, await callerOf(call));
      return [];
    },
  };
}

async function callerOf(call: ServiceCall): Promise<Caller> {
  const { uid, pid } = await call.credentials();
  return { uid, pid: pid ?? UNKNOWN_PID };
}

/** The bus daemon does not always know the pid; 0 is nobody's. */
const UNKNOWN_PID = 0;

/** `t` arrives as a bigint or a number; beyond 2^53 there are no events. */
function eventNumber(value: unknown): number {
  const number = Number(value);
  if (!Number.isFinite(number) || number < 0) throw new Failure('BH405', `'after' is not a number of an event`);
  return number;
}
