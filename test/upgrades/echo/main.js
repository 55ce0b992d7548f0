// A plugin that sends back what it gets; the protocol is that of main.py beside it.
'use strict';

const net = require('node:net');

const FIRST_FD = 3;
const PREFIX = 4;
const MOST = 1024 * 1024;
const LAST_ANSWER = 0x80000000;
const MOST_TURNS = 1000;

let stopping = false;
let taken = 0;

function serve(socket) {
  taken += 1;
  let received = Buffer.alloc(0);
  socket.on('error', () => socket.destroy());
  socket.on('data', (data) => {
    received = Buffer.concat([received, data]);
    while (received.length >= PREFIX && !socket.writableEnded) {
      const length = received.readUInt32BE();
      if (length > MOST) return socket.destroy();
      if (received.length < PREFIX + length) return;
      const head = Buffer.alloc(PREFIX);
      head.writeUInt32BE((length + (stopping ? LAST_ANSWER : 0)) >>> 0);
      socket.write(Buffer.concat([head, received.subarray(PREFIX, PREFIX + length)]));
      received = received.subarray(PREFIX + length);
      if (stopping) socket.end();
    }
  });
}

async function stop(servers) {
  if (stopping) return;
  stopping = true;
  // Each turn of the event loop takes one connection from the queue; the first one is the rest of that of the signal.
  const turn = () => new Promise(setImmediate);
  await turn();
  for (let turns = 0, before = -1; turns < MOST_TURNS && taken !== before; turns += 1) {
    before = taken;
    await turn();
  }
  let open = servers.length;
  for (const server of servers)
    server.close(() => {
      open -= 1;
      if (open === 0) process.exit(0);
    });
}

const servers = Array.from({ length: Number(process.env.LISTEN_FDS) }, (_, index) => {
  const server = net.createServer(serve);
  server.listen({ fd: FIRST_FD + index });
  return server;
});
process.on('SIGTERM', () => stop(servers));
