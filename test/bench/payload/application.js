// What PM2 runs in the benchmark of upgrades, with a graceful end as its manual has it (SIGINT, and `ready`), and with
// the answers' last word to clients that stay.
'use strict';

const http = require('node:http');

const BODY = 'hello\n';
let stopping = false;

const server = http.createServer({ keepAliveTimeout: 75_000 }, (_, response) => {
  const connection = stopping ? { Connection: 'close' } : {};
  response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': BODY.length, ...connection });
  response.end(BODY);
});
server.listen(Number(process.argv[2]), '0.0.0.0', 4096, () => process.send?.('ready'));
process.on('SIGINT', () => {
  stopping = true;
  server.close(() => process.exit(0));
});
