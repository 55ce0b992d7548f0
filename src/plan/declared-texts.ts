import { formatBytes } from '../base/bytes.ts';
import { formatDuration } from '../base/duration.ts';
import { FAILURE_CLASS_NAMES } from '../base/failure-class.ts';
import type { Declaration } from '../declare/declaration.ts';
import { PROBE_NAMES, type Probe, probeText } from '../declare/probe.ts';
import { chainText, riskyText } from '../declare/recovery.ts';
import type { JudgeSettings, MetricsEndpoint, UpgradeSettings } from '../declare/upgrade.ts';
import { stdioTexts } from './stdio.ts';

/** One key of a declaration, with its value as people would write it. */
export type DeclaredText = readonly [key: string, text: string];

/** What the supervisor itself acts on; everything else of a declaration shows in units, mounts, sockets and commands. */
export function declaredTexts(declaration: Declaration): DeclaredText[] {
  const { version, pool, view, state } = declaration;
  return [
    ['template', declaration.templates.join(', ') || 'none'],
    ['description', declaration.description],
    ['version', version ?? 'none'],
    ...stdioTexts(declaration),
    ['pool.size', String(pool.size)],
    ['pool.standby', String(pool.standby)],
    ['view.root', view.root],
    ['view.tmp', formatBytes(view.tmp)],
    ['allow', declaration.allow.join(' ') || 'none'],
    ['programs', declaration.programs],
    ['isolation', declaration.isolation],
    ...(state.path === undefined ? [] : [['state.quota', sizeText(state.quota)] as const]),
    ...declaration.credentials.map(credentialText),
    ['capabilities', declaration.capabilities.join(' ') || 'none'],
    ...healthTexts(declaration),
    ['stop.signal', declaration.stop.signal],
    ['stop.timeout', formatDuration(declaration.stop.timeoutMs)],
    ...recoveryTexts(declaration.recovery),
    ...upgradeTexts(declaration.upgrade),
    ['versions.keep', String(declaration.versions.keep)],
    ...declaration.schedule.map(
      ({ action, cron }, index): DeclaredText => [`schedule[${index}]`, `${action} at ${cron}`],
    ),
  ];
}

export function sizeText(size: number | 'infinity'): string {
  return size === 'infinity' ? size : formatBytes(size);
}

function credentialText({ name, path, encrypted }: Declaration['credentials'][number]): DeclaredText {
  return [`credentials.${name}`, encrypted ? `${path}, encrypted` : path];
}

function healthTexts({ health }: Declaration): DeclaredText[] {
  return [
    ['health.ready', health.ready],
    ['health.start-timeout', formatDuration(health.startTimeoutMs)],
    ['health.heartbeat', formatDuration(health.heartbeatMs)],
    ['health.request-timeout', formatDuration(health.requestTimeoutMs)],
    ['health.spin', formatDuration(health.spinMs)],
    ['health.stopped', formatDuration(health.stoppedMs)],
    ...PROBE_NAMES.map((name): DeclaredText => [`health.${name}`, wholeProbeText(health[name])]),
  ];
}

function wholeProbeText(probe: Probe | undefined): string {
  if (probe === undefined) return 'none';
  const passes = probe.passes === 1 ? '' : `, ${probe.passes} passes`;
  return `${probeText(probe)}${passes}, ${formatDuration(probe.timeoutMs)} for the answer`;
}

function recoveryTexts({ backoff, budget, chains, risky }: Declaration['recovery']): DeclaredText[] {
  return [
    ['recovery.backoff.initial', formatDuration(backoff.initialMs)],
    ['recovery.backoff.max', formatDuration(backoff.maxMs)],
    ['recovery.backoff.factor', String(backoff.factor)],
    ['recovery.backoff.jitter', `${Math.round(backoff.jitter * 100)}%`],
    ['recovery.backoff.reset', formatDuration(backoff.resetMs)],
    ['recovery.budget.restarts', String(budget.restarts)],
    ['recovery.budget.within', formatDuration(budget.withinMs)],
    ...FAILURE_CLASS_NAMES.map((name): DeclaredText => [`recovery.${name}`, chainText(chains[name])]),
    ['recovery.risky', risky === undefined ? 'never' : riskyText(risky)],
  ];
}

function upgradeTexts(upgrade: UpgradeSettings): DeclaredText[] {
  const { way, signal, canary, surge, check } = upgrade;
  return [
    ['upgrade.way', way],
    ...(way === 'in-place' ? [['upgrade.signal', signal] as const] : []),
    ['upgrade.canary', canary.map((percent) => `${percent}%`).join(', ') || 'all at once'],
    ['upgrade.bake', formatDuration(upgrade.bakeMs)],
    ['upgrade.drain', formatDuration(upgrade.drainMs)],
    ['upgrade.surge', 'count' in surge ? String(surge.count) : `${surge.percent}%`],
    ...judgeTexts(upgrade.judge),
    [
      'upgrade.check',
      check.length === 0 ? 'none' : `${check.join(' ')}, ${formatDuration(upgrade.checkTimeoutMs)} at most`,
    ],
  ];
}

function judgeTexts(judge: JudgeSettings): DeclaredText[] {
  const few = judge.few === 'wait' ? `wait for ${formatDuration(judge.waitMostMs)} at most` : judge.few;
  return [
    ['upgrade.judge.samples', String(judge.samples)],
    ['upgrade.judge.few', few],
    ['upgrade.judge.errors', shareText(judge.errors)],
    ['upgrade.judge.latency', shareText(judge.latency)],
    ['upgrade.judge.memory', shareText(judge.memory)],
    ['upgrade.judge.deaths', String(judge.deaths)],
    ['upgrade.judge.metrics', judge.metrics === undefined ? 'none' : metricsText(judge.metrics)],
  ];
}

function shareText(percent: number | 'infinity'): string {
  return percent === 'infinity' ? 'not judged' : `${percent}%`;
}

function metricsText({ port, path, requests, errors, latency }: MetricsEndpoint): string {
  const names = [requests, errors, latency].filter((name) => name !== undefined);
  return `${path} at port ${port}: ${names.join(', ')}`;
}
