import { lookAtNode } from './kernel/node-look.ts';

/** The main of bulkhead-node.service: one look at the node, as a line of JSON on standard output. */
const facts = await lookAtNode();
process.stdout.write(`${JSON.stringify(facts)}\n`, () => process.exit(0));
