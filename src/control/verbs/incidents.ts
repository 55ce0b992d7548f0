import { Failure } from '../../base/failure.ts';
import { exportIncident } from '../incident-export.ts';
import { requireIncidentId, requirePluginName } from '../plugin-argument.ts';
import { renderIncident, renderIncidents } from '../render/incident-view.ts';
import { JSON_OPTION, printJson, type Verb, type VerbCall, type World } from '../verb.ts';

const WORDS = ['list', 'show', 'export'] as const;
const USUAL_LIMIT = 50;

export const INCIDENTS: Verb = {
  name: 'incidents',
  summary: 'list, show or export what failed, with its evidence',
  help: [
    'list [NAME]: incidents of one plugin or of all, newest first: when, of which class, what was done, and after how long it was over. They are kept as bulkhead.yaml says, for 30 days and 1G in all unless it says otherwise.',
    'show ID: one incident with its evidence: the verdict, the excuses that were looked into, what was done, requests in flight and the last ones, the states of its threads, open files, and the last lines of its journal. Needs the polkit action org.bulkhead.inspect.',
    'export ID: the whole bundle as one .tar.gz, the core dump included, in the file that -o names, or in ID.tar.gz; an existing file is never written over. It is read from the disk, also when no supervisor runs, and so needs root.',
  ],
  arguments: [
    { label: 'list|show|export', kind: 'word', words: WORDS, required: false, repeated: false },
    { label: 'NAME|ID', kind: 'text', required: false, repeated: false },
  ],
  options: [
    JSON_OPTION,
    { name: 'lines', short: 'n', kind: 'count', label: 'N', summary: `of a list, the newest N (${USUAL_LIMIT})` },
    { name: 'output', short: 'o', kind: 'file', label: 'FILE', summary: 'write the export into this file' },
  ],
  supervisor: 'asked',
  run,
};

async function run(call: VerbCall, world: World): Promise<0> {
  const [word = 'list', about] = call.arguments;
  if (word === 'list') return list(call, world, about);
  if (word !== 'show' && word !== 'export')
    throw new Failure('BH401', `'incidents ${word}'`, { advice: 'use list, show or export' });
  if (about === undefined)
    throw new Failure('BH401', `'incidents ${word}' needs ID`, { advice: 'see "bulkheadctl incidents list"' });
  const id = requireIncidentId(about);
  if (word === 'show') return show(call, world, id);
  const file = await exportIncident(id, call.texts.get('output') ?? `${id}.tar.gz`);
  if (call.flags.has('json')) printJson(world, { id, file });
  else world.out.write(`Written to ${file}\n`);
  return 0;
}

async function list(call: VerbCall, world: World, plugin: string | undefined): Promise<0> {
  const name = plugin === undefined ? '' : requirePluginName(plugin);
  const manager = await world.manager();
  const incidents = await manager.incidents(name, call.counts.get('lines') ?? USUAL_LIMIT);
  // No incident and no such plugin: most likely a typing error, so let the supervisor say BH404.
  if (incidents.length === 0 && name !== '') await manager.status(name);
  if (call.flags.has('json')) printJson(world, incidents);
  else world.out.write(renderIncidents(incidents, world.out));
  return 0;
}

async function show(call: VerbCall, world: World, id: string): Promise<0> {
  const manager = await world.manager();
  const agent = await world.passwordAgent();
  try {
    const report = await manager.incident(id);
    if (call.flags.has('json')) printJson(world, report);
    else world.out.write(renderIncident(report, world.out));
    return 0;
  } finally {
    agent.release();
  }
}
