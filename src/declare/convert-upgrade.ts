import { must, type Source, sourceOf } from './source.ts';
import type { JudgeSettings, MetricsEndpoint, UpgradeSettings } from './upgrade.ts';
import { readBorneErrors, readBorneGrowth, readCanaryStep, readDrainTime, readSurge } from './upgrade-values.ts';
import { readLogTime, readLongTime } from './values.ts';

export function convertUpgrade(source: Source): UpgradeSettings {
  const text = (key: string) => source.text(`upgrade.${key}`);
  const canary = source
    .listOr('upgrade.canary')
    .map((item) => must('upgrade.canary[]', readCanaryStep(sourceOf(item))));
  return {
    way: text('way') === 'in-place' ? 'in-place' : 'beside',
    signal: text('signal'),
    canary,
    bakeMs: must('upgrade.bake', readLongTime(text('bake'))),
    drainMs: must('upgrade.drain', readDrainTime(text('drain'))),
    surge: must('upgrade.surge', readSurge(text('surge'))),
    judge: toJudge(source),
    check: source.words('upgrade.check'),
    checkTimeoutMs: must('upgrade.check-timeout', readLogTime(text('check-timeout'))),
  };
}

function toJudge(source: Source): JudgeSettings {
  const text = (key: string) => source.text(`upgrade.judge.${key}`);
  const few = text('few');
  const metrics = toMetrics(source);
  return {
    samples: Number(text('samples')),
    few: few === 'rollback' || few === 'wait' ? few : 'promote',
    waitMostMs: must('upgrade.judge.wait-most', readLongTime(text('wait-most'))),
    errors: must('upgrade.judge.errors', readBorneErrors(text('errors'))),
    latency: must('upgrade.judge.latency', readBorneGrowth(text('latency'))),
    memory: must('upgrade.judge.memory', readBorneGrowth(text('memory'))),
    deaths: Number(text('deaths')),
    ...(metrics === undefined ? {} : { metrics }),
  };
}

/** Absent unless there is a port; check-upgrade.ts sees to it that nobody is left without who asked for it. */
function toMetrics(source: Source): MetricsEndpoint | undefined {
  const key = 'upgrade.judge.metrics';
  const node = source.find(key);
  if (node === undefined) return undefined;
  source.note(key, node);
  const text = (name: string) => {
    const path = `${key}.${name}`;
    return source.find(path) === undefined ? undefined : source.text(path);
  };
  const [port, requests, errors, latency] = [text('port'), text('requests'), text('errors'), text('latency')];
  const path = source.text(`${key}.path`);
  if (port === undefined) return undefined;
  return {
    port: Number(port),
    path,
    ...(requests === undefined ? {} : { requests }),
    ...(errors === undefined ? {} : { errors }),
    ...(latency === undefined ? {} : { latency }),
  };
}
