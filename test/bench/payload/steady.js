// The server of bench recover for PM2's cluster mode, which is for Node.js alone: as native/steady.c.
'use strict';

const { createServer } = require('node:http');

const WORK_MS = 1;
const body = `${process.hrtime.bigint()}\n`;
process.on('SIGUSR2', () => {
  for (;;);
});
createServer((_request, response) => {
  setTimeout(() => {
    response.writeHead(200, { Connection: 'close', 'Content-Length': body.length });
    response.end(body);
  }, WORK_MS);
}).listen(Number(process.argv[2]), '127.0.0.1');
