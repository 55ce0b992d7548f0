import { escapeText } from '../../base/printable.ts';
import { formatProblem } from '../../base/problem.ts';
import type { CheckReport } from '../offline.ts';
import { JSON_OPTION, printJson, type Verb } from '../verb.ts';

export const CHECK: Verb = {
  name: 'check',
  summary: 'check declarations without starting anything',
  help: [
    'Reads declarations exactly as the supervisor would, with templates, drop-ins and [X-Plugin] sections, and prints all problems at once as FILE:LINE:COLUMN: CODE MESSAGE (HINT). The seccomp lists that a plugin uses are checked with it. Without an argument every declared plugin is checked, and bulkhead.yaml, the configuration of bulkhead itself.',
    'An argument with a slash, or one that ends in .yaml, is a file; it is checked as the declaration of the plugin that the file is named after, or, if it is called bulkhead.yaml, as the configuration. Everything else is the name of a plugin. The supervisor is not asked.',
  ],
  arguments: [{ label: 'NAME|FILE', kind: 'plugin-or-file', required: false, repeated: true }],
  options: [JSON_OPTION],
  supervisor: 'none',
  async run(call, world) {
    const report = await world.check(call.arguments);
    const broken = report.targets.filter((target) => target.problems.length > 0);
    if (call.flags.has('json')) printJson(world, report);
    else world.out.write(renderReport(report));
    return broken.length === 0 ? 0 : 1;
  },
};

function renderReport(report: CheckReport): string {
  if (report.targets.length === 0) return 'No plugin is declared.\n';
  return report.targets
    .flatMap((target) => {
      if (target.problems.length === 0) return [`${escapeText(target.target)}: ok`];
      return target.problems.map((problem) => escapeText(formatProblem(problem)));
    })
    .map((line) => `${line}\n`)
    .join('');
}
