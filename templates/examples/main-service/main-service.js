// A main service that calls a plugin: notes are kept and found over HTTP, by the plugin of the examples call-python,
// call-node or call-c (docs/calling.md).
//
//   node main-service.js PLUGIN [PORT]            calls the sandboxes of a plugin
//   node main-service.js --socket PATH [PORT]     calls a plugin that was started by hand
//
//   curl -d 'milk is out' localhost:8080/notes
//   curl 'localhost:8080/notes?word=milk'
//
// What makes it a good caller, and is worth copying:
//   * One client for the whole process, made at its start.
//   * Each call has the time that its own caller has, and is given up when that one goes.
//   * What may be made twice is said to be so; all else fails with what became of it.
//   * Calls beyond what the plugin can do are refused, not piled up.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { CallError, connect } from 'bulkhead/client';

const words = process.argv.slice(2);
const options = { name: 'main-service', idempotent: ['find'], timeoutMs: 2000 };
if (words[0] === '--socket') options.socket = words[1];
const plugin = connect(options.socket === undefined ? words[0] : 'by-hand', options);
const port = Number(words[options.socket === undefined ? 1 : 2] ?? 8080);

const MOST_BYTES = 10_000;

/** HTTP statuses of what can go wrong; whatever else the plugin says is its own business, and a 502. */
const STATUSES = {
  'bad-params': 400,
  'too-large': 413,
  overloaded: 503,
  unavailable: 503,
  'deadline-exceeded': 504,
};

async function serve(request, response) {
  const url = new URL(request.url, 'http://localhost');
  // Whoever called us may go; then nobody needs the answer.
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const call = { signal: gone.signal, traceparent: request.headers.traceparent };

  if (request.method === 'POST' && url.pathname === '/notes') {
    const number = await plugin.call('add', [await textOf(request)], call);
    response.writeHead(201, { 'content-type': 'application/json' }).end(`${JSON.stringify({ number })}\n`);
  } else if (request.method === 'GET' && url.pathname === '/notes') {
    for await (const note of plugin.stream('find', [url.searchParams.get('word') ?? ''], call))
      // A caller that reads slowly makes the plugin wait, and nobody's memory fill up.
      if (!response.write(`${note}\n`)) await once(response, 'drain', { signal: gone.signal });
    response.end();
  } else if (request.method === 'GET' && url.pathname === '/statistics') {
    response.end(`${JSON.stringify(plugin.statistics(), null, 2)}\n`);
  } else response.writeHead(404).end();
}

async function textOf(request) {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > MOST_BYTES) throw new CallError('too-large', 'a note is short', { method: 'add', begun: 'no' });
  }
  return text;
}

function fail(response, error) {
  if (response.destroyed) return;
  if (!(error instanceof CallError)) console.error(error);
  // The incident is for whoever runs the service: bulkheadctl incidents show ID.
  else if (error.incident !== undefined) console.error(`${error.method}: ${error.message}`);
  if (response.headersSent) response.destroy();
  else response.writeHead(STATUSES[error.code] ?? 502).end(`${error.message}\n`);
}

const server = createServer((request, response) => {
  serve(request, response).catch((error) => fail(response, error));
});
server.listen(port, () => console.log(`serving on port ${server.address().port}`));

process.once('SIGTERM', async () => {
  server.close();
  await plugin.close();
});
