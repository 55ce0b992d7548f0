import type { AuditReport } from '../api.ts';
import type { ExitStatus } from '../exit-status.ts';
import { renderAudit } from '../render/audit-view.ts';
import { JSON_OPTION, PLUGIN, printJson, type Verb } from '../verb.ts';

export const AUDIT: Verb = {
  name: 'audit',
  summary: "compare a plugin's living processes with its plan, wall by wall",
  help: [
    'The supervisor reads all processes of all living sandboxes of the plugin from outside, and compares them with the plan in force: units and limits, namespaces, user ids, groups, capabilities, seccomp, OOM score, open files, root and mounts, environment, open descriptors, network interfaces, parents and cgroups. It neither stops nor traces any of them. Something that does not hold is looked at three times within half a second before it is told, so that processes that start or end are no findings.',
    'Each wall "holds", is "broken", or is "unknown" when it could not be seen. A limit for which the host has no cgroup controller is "not-enforced".',
    'The exit status is 0 when all walls hold, 1 when one is broken or unknown (with --strict also when a limit is not enforced), and 3 when no sandbox of the plugin runs. Needs the right to control plugins.',
  ],
  arguments: [PLUGIN],
  options: [
    JSON_OPTION,
    { name: 'strict', kind: 'flag', summary: 'limits that the host does not enforce fail, too' },
    { name: 'all', short: 'a', kind: 'flag', summary: 'show walls that hold in full, too' },
  ],
  supervisor: 'needed',
  async run(call, world) {
    const agent = await world.passwordAgent();
    try {
      const report = await (await world.manager()).audit(call.arguments[0] ?? '');
      if (call.flags.has('json')) printJson(world, report);
      else world.out.write(renderAudit(report, world.out, call.flags.has('all')));
      return exitStatusFor(report, call.flags.has('strict'));
    } finally {
      agent.release();
    }
  },
};

function exitStatusFor({ verdict }: AuditReport, strict: boolean): ExitStatus {
  if (verdict === null) return 3;
  if (verdict === 'holds' || (verdict === 'not-enforced' && !strict)) return 0;
  return 1;
}
