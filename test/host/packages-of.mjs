// Prints the packages that a package.json needs, and those that they need, one a line; all are in node_modules.
import { readFileSync } from 'node:fs';

const found = new Set();

function add(file) {
  const { dependencies = {} } = JSON.parse(readFileSync(file, 'utf8'));
  for (const name of Object.keys(dependencies)) {
    if (found.has(name)) continue;
    found.add(name);
    add(`node_modules/${name}/package.json`);
  }
}

add(process.argv[2]);
console.log([...found].join('\n'));
