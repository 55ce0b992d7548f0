import { escapeText } from '../../base/printable.ts';
import { examine, type Finding } from '../doctor-checks.ts';
import { paint, type Style } from '../render/colour.ts';
import { wrap } from '../render/width.ts';
import type { Terminal } from '../terminal.ts';
import { JSON_OPTION, printJson, type Verb } from '../verb.ts';

export const DOCTOR: Verb = {
  name: 'doctor',
  summary: 'examine whether this host can run all of bulkhead',
  help: [
    'Looks at systemd, cgroups, namespaces, seccomp, the kernel, D-Bus, polkit, the installation, disk space and the supervisor, and says for everything that is missing what follows from it and what to do. It changes nothing and needs neither root nor the supervisor; what it could not look at is listed as such.',
    'The exit status is 1 when there is at least one error. Warnings leave it 0.',
  ],
  arguments: [],
  options: [JSON_OPTION],
  supervisor: 'asked',
  async run(call, world) {
    const findings = examine(await world.gatherDoctorFacts());
    if (call.flags.has('json')) printJson(world, findings);
    else world.out.write(render(findings, world.out));
    return findings.some((finding) => finding.verdict === 'error') ? 1 : 0;
  },
};

const LOOK: Readonly<Record<Finding['verdict'], { readonly mark: string; readonly style: Style }>> = {
  ok: { mark: 'ok     ', style: 'good' },
  warning: { mark: 'warning', style: 'warning' },
  error: { mark: 'error  ', style: 'bad' },
  unknown: { mark: 'unknown', style: 'dim' },
};

const MARGIN = 9;

function render(findings: readonly Finding[], out: Terminal): string {
  const body = findings.map((finding) => {
    const { mark, style } = LOOK[finding.verdict];
    const text = indented(`${finding.check}: ${escapeText(finding.text)}`, out.columns);
    const advice =
      finding.advice === undefined ? '' : `${' '.repeat(MARGIN)}${indented(`-> ${finding.advice}`, out.columns)}\n`;
    return `${paint(mark, style, out.colour)}  ${text}\n${advice}`;
  });
  const count = (verdict: Finding['verdict']) => findings.filter((finding) => finding.verdict === verdict).length;
  const sum = `ok ${count('ok')}, warning ${count('warning')}, error ${count('error')}, unknown ${count('unknown')}`;
  return `${body.join('')}\n${sum}\n`;
}

function indented(text: string, columns: number): string {
  return wrap(text, Math.max(20, columns - MARGIN)).join(`\n${' '.repeat(MARGIN)}`);
}
