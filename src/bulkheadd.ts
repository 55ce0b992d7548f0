import { LiveConfiguration } from './act/live-configuration.ts';
import { asFailure } from './base/failure.ts';
import { formatProblem } from './base/problem.ts';
import type { EventKind } from './control/api.ts';
import { startDaemon } from './control/daemon.ts';
import { VERSION } from './control/version.ts';
import { systemClock } from './kernel/clock.ts';
import { loadConfiguration } from './kernel/configuration-files.ts';
import { HOST_PATHS } from './kernel/host-facts.ts';
import { pipe, sendDatagram, setCloexec } from './kernel/native.ts';
import { Chronicle } from './record/chronicle.ts';
import { EventRing } from './record/event-ring.ts';
import { PRIVATE_SOCKET, systemBusSockets } from './systemd/address.ts';
import { FdStore, inheritedFds } from './systemd/fd-store.ts';
import { Journal } from './systemd/journal.ts';
import { Manager } from './systemd/manager.ts';
import { Notifier } from './systemd/notify.ts';

/** Events kept in memory for clients. */
const EVENTS_KEPT = 1000;

const USAGE =
  'Usage: bulkheadd [--version | --help]\nThe supervisor of plugins; started by systemd as bulkheadd.service. See bulkheadd(8).\n';

/** The supervisor's main: connects to systemd, wires the parts, says READY, and serves until it is asked to end. */
async function main(): Promise<void> {
  const [option] = process.argv.slice(2);
  if (option === '--version') return void process.stdout.write(`bulkheadd ${VERSION}\n`);
  if (option === '--help') return void process.stdout.write(USAGE);
  if (option !== undefined) {
    process.stderr.write(`bulkheadd: BH401 usage: unknown argument '${option}'\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  const clock = systemClock;
  const journal = new Journal({
    sendDatagram,
    writeLine: (line) => process.stderr.write(`${line}\n`),
    identifier: 'bulkheadd',
  });
  const events = new EventRing<EventKind>(EVENTS_KEPT);
  const chronicle = new Chronicle(events, journal);
  const socket = process.env.NOTIFY_SOCKET;
  const notifier = new Notifier({ socket, clock, sendDatagram, makePipe: pipe });
  const manager = new Manager({
    clock,
    onDefect: (thrown) => chronicle.defect(thrown),
    privateSocket: PRIVATE_SOCKET,
    busSockets: systemBusSockets(process.env),
  });
  const configuration = new LiveConfiguration({
    load: loadConfiguration,
    refused: (problems, held) => {
      for (const problem of problems) chronicle.refused(problem);
      chronicle.ignored(`the configuration is not taken; ${held}`);
    },
  });
  configuration.reload();
  let serving = false;
  // systemd's reload. Before the start is over there is nobody to tell.
  process.on('SIGHUP', () => {
    configuration.reload();
    if (serving) tellStatus(notifier, configuration, chronicle);
  });
  const daemon = await startDaemon({
    clock,
    paths: HOST_PATHS,
    manager,
    fdStore: new FdStore(notifier),
    inherited: inheritedFds(process.env, process.pid, setCloexec),
    chronicle,
    events,
    environment: process.env,
    configuration,
  });
  notifier.ready(statusOf(configuration));
  serving = true;
  const watchdog = Number(process.env.WATCHDOG_USEC ?? 0) / 1000;
  // Half of the limit, as sd_watchdog_enabled(3) recommends. A blocked event loop sends nothing, which is the point.
  const ping = watchdog > 0 ? setInterval(() => notifier.watchdog(), watchdog / 2) : undefined;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      clearInterval(ping);
      notifier.stopping('plugins go on without supervision');
      daemon.release();
      process.exit(0);
    });
  }
}

function tellStatus(notifier: Notifier, configuration: LiveConfiguration, chronicle: Chronicle<EventKind>): void {
  try {
    notifier.status(statusOf(configuration));
  } catch (error) {
    chronicle.ignored('systemd cannot be told of a reload, ignoring', asFailure(error));
  }
}

/** The first line that a person reads who asks systemd. */
function statusOf({ problems }: LiveConfiguration): string {
  const [first] = problems;
  return first === undefined ? 'supervising' : `supervising; the configuration is not taken: ${formatProblem(first)}`;
}

main().catch((error: unknown) => {
  const failure = asFailure(error);
  const detail = failure.code === 'BH406' && error instanceof Error ? `\n${error.stack}` : '';
  process.stderr.write(`<3>bulkheadd: ${failure.line}; ${failure.advice}${detail}\n`);
  process.exit(1);
});
