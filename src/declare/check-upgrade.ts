import { checkHostProgram } from './check-program.ts';
import type { Declaration } from './declaration.ts';
import type { Finder } from './finder.ts';

const METRICS = 'upgrade.judge.metrics';

/** Upgrades that cannot be made as they are declared, or could not be judged so. */
export function checkUpgrade(finder: Finder, declaration: Declaration): void {
  const { upgrade } = declaration;
  const [program] = upgrade.check;
  if (program !== undefined && !finder.isBroken('upgrade.check')) checkHostProgram(finder, 'upgrade.check', program);
  checkWay(finder, declaration);
  checkCanary(finder, upgrade.canary);
  checkFew(finder, upgrade.judge);
  checkMetrics(finder, declaration);
}

function checkWay(finder: Finder, { upgrade, version, view, stop }: Declaration): void {
  if (upgrade.way === 'beside') {
    // A template may say it for those who declare the other way.
    if (finder.isOwn('upgrade.signal'))
      finder.conflict('upgrade.signal', "'upgrade.signal' is for 'upgrade.way: in-place'", 'upgrade.way');
    return;
  }
  if (version === undefined && !finder.isBroken('version')) {
    const message = "'upgrade.way: in-place' changes the version's directory, but there is no 'version'";
    finder.add('BH110', 'upgrade.way', message, "add 'version'");
  }
  if (view.root !== 'host') {
    const message =
      "'upgrade.way: in-place' takes a root in which '/plugin' leads to the version that is live: 'view.root: host'";
    finder.conflict('upgrade.way', message, 'view.root');
  }
  if (upgrade.signal === stop.signal) {
    const message = `'${upgrade.signal}' would tell the program both that its directory has changed and that it is to end`;
    if (finder.isWritten('upgrade.signal')) finder.conflict('upgrade.signal', message, 'stop.signal');
    else finder.conflict('stop.signal', message, 'upgrade.signal');
  }
}

function checkCanary(finder: Finder, canary: readonly number[]): void {
  if (finder.isBroken('upgrade.canary')) return;
  const at = canary.findIndex((percent, index) => index > 0 && percent <= (canary[index - 1] ?? 0));
  if (at < 0) return;
  const message = `a canary only grows: '${canary[at]}%' is not more than '${canary[at - 1]}%' before it`;
  finder.add('BH110', `upgrade.canary[${at}]`, message);
}

function checkFew(finder: Finder, { few }: Declaration['upgrade']['judge']): void {
  const key = 'upgrade.judge.wait-most';
  if (few !== 'wait' && finder.isOwn(key))
    finder.conflict(key, `'${key}' is for 'upgrade.judge.few: wait'`, 'upgrade.judge.few');
}

function checkMetrics(finder: Finder, { network }: Declaration): void {
  if (!finder.isWritten(METRICS) || finder.isBrokenWithin(METRICS)) return;
  const isSaid = (name: string) => finder.isWritten(`${METRICS}.${name}`);
  if (!isSaid('port')) finder.add('BH105', METRICS, `'${METRICS}' has no 'port'`);
  else if (network.mode === 'host') {
    const message = `'${METRICS}.port' is in a network of the sandbox's own, and there is none`;
    finder.conflict(`${METRICS}.port`, message, 'network');
  }
  for (const [one, other] of [
    ['errors', 'requests'],
    ['requests', 'errors'],
  ] as const) {
    if (isSaid(one) && !isSaid(other))
      finder.add(
        'BH105',
        `${METRICS}.${one}`,
        `'${METRICS}.${one}' makes no share without '${other}'`,
        `add '${other}'`,
      );
  }
  if (!isSaid('errors') && !isSaid('requests') && !isSaid('latency')) {
    const message = `'${METRICS}' does not say what its figures are called`;
    finder.add('BH105', METRICS, message, "add 'errors' and 'requests', or 'latency'");
  }
}
