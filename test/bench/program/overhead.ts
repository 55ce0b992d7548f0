import { declarationLines } from './declaration-lines.ts';
import { machineFacts } from './machine.ts';
import { options } from './options.ts';
import { measure, PLACES, type Place, type Server, ServerPlugin, type Spell, startBare } from './overhead-servers.ts';
import { deliver, progress } from './result.ts';
import { pairedRatio, type Summary, summarise } from './statistics.ts';
import { Systemd } from './systemd.ts';
import { figure, table } from './table.ts';

/** In a sandbox a server is to answer at least so much of what it answers bare. */
const AIM = 0.97;

const SERVERS: Readonly<Record<Server, string>> = { c: 'static C', python: 'python3', node: 'node' };

interface Row {
  readonly server: Server;
  readonly place: Place;
  /** Requests per second. */
  readonly rate: Summary;
  /** Median of the ratios to the bare one in the same round; and how they spread: their quartiles. */
  readonly ofBare: number;
  readonly quartiles: readonly [number, number];
  /** CPU time for a request, microseconds, and the median of its ratios to the bare one. */
  readonly cpuUs: Summary;
  readonly cpuOfBare: number;
}

interface Figures {
  readonly rows: readonly Row[];
  readonly connections: number;
  readonly aim: { readonly ofBare: number; readonly reached: boolean };
}

const { n, quick, out, revision } = options(30);
const CONNECTIONS = 8;
const SPELL_MS = quick ? 100 : 500;
/** Before anything counts: a compiler at run time (node's) is done with the server by then. */
const WARM_ANSWERS = quick ? 100 : 60_000;
const machine = await machineFacts(revision);
const systemd = new Systemd();
const servers = Object.keys(SERVERS) as Server[];
const places = Object.keys(PLACES) as Place[];

/** By server and place, by round. */
const spells = new Map<string, Map<number, Spell>>();
const key = (server: Server, place: Place): string => `${server} ${place}`;

for (const [index, server] of servers.entries()) {
  const port = 8300 + 10 * index;
  const bare = await startBare(server, port);
  const plugins = [new ServerPlugin(server, 'scope'), new ServerPlugin(server, 'nspawn')] as const;
  const ports = { bare: port, scope: port + 1, nspawn: port + 2 };
  try {
    for (const plugin of plugins) {
      plugin.install(declarationLines({ port: ports[plugin.isolation] }));
      await systemd.start(plugin.anchor);
    }
    const pids = { bare: bare.pid, scope: plugins[0].pid, nspawn: plugins[1].pid };
    for (const place of places) spells.set(key(server, place), new Map());
    const spell = (place: Place): Promise<Spell> => measure(pids[place], ports[place], CONNECTIONS, SPELL_MS);
    for (const place of places) for (let answers = 0; answers < WARM_ANSWERS; ) answers += (await spell(place)).answers;
    // Each round begins at another place.
    for (let round = 1; round <= n; round += 1) {
      for (const turn of places.keys()) {
        const place = places[(turn + round) % places.length] ?? 'bare';
        spells.get(key(server, place))?.set(round, await spell(place));
      }
    }
    progress(`${SERVERS[server]}: ${n} rounds`);
  } finally {
    bare.release();
    for (const plugin of plugins) await plugin.remove();
  }
}
systemd.release();

const rows = servers.flatMap((server) =>
  places.map((place): Row => {
    const [own, bare] = [ratesOf(server, place), ratesOf(server, 'bare')];
    const cpu = cpuOf(server, place);
    const ratios = [...own].map(([round, rate]) => rate / (bare.get(round) ?? Number.NaN)).sort((a, b) => a - b);
    const quarter = (part: number): number => ratios[Math.round((ratios.length - 1) * part)] ?? Number.NaN;
    return {
      server,
      place,
      rate: summarise([...own.values()]),
      ofBare: pairedRatio(own, bare) ?? Number.NaN,
      quartiles: [quarter(0.25), quarter(0.75)],
      cpuUs: summarise([...cpu.values()]),
      cpuOfBare: pairedRatio(cpu, cpuOf(server, 'bare')) ?? Number.NaN,
    };
  }),
);
const inside = rows.filter(({ place }) => place !== 'bare');
const aim = { ofBare: AIM, reached: inside.every(({ ofBare }) => ofBare >= AIM) };
const figures: Figures = { rows, connections: CONNECTIONS, aim };

deliver(
  { bench: 'overhead', quick, out, machine, n, figures },
  [
    `The same HTTP server, ${CONNECTIONS} connections kept alive, each with one request under way; ${SPELL_MS} ms a spell, interleaved.`,
    ...servers.map((server) =>
      table(
        [SERVERS[server], 'requests/s: median', 'min', 'max', 'of bare, paired', 'quartiles', 'CPU us', 'of bare'],
        rows
          .filter((row) => row.server === server)
          .map(({ place, rate, ofBare, quartiles: [low, high], cpuUs, cpuOfBare }) => [
            PLACES[place],
            rate.median.toFixed(0),
            rate.min.toFixed(0),
            rate.max.toFixed(0),
            ofBare.toFixed(3),
            `${low.toFixed(3)} to ${high.toFixed(3)}`,
            figure(cpuUs.median),
            cpuOfBare.toFixed(3),
          ]),
      ),
    ),
    `aim: at least ${AIM} of bare: ${inside.map(({ server, place, ofBare }) => `${SERVERS[server]} in ${place} ${figure(ofBare)}`).join(', ')}: ${aim.reached ? 'reached' : 'NOT reached'}`,
  ].join('\n\n'),
);

function ratesOf(server: Server, place: Place): ReadonlyMap<number, number> {
  return each(server, place, ({ rate }) => rate);
}

function cpuOf(server: Server, place: Place): ReadonlyMap<number, number> {
  return each(server, place, ({ cpuUs }) => cpuUs);
}

function each(server: Server, place: Place, ask: (spell: Spell) => number): ReadonlyMap<number, number> {
  const measured = spells.get(key(server, place)) ?? new Map<number, Spell>();
  return new Map([...measured].map(([round, spell]) => [round, ask(spell)]));
}
