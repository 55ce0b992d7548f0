// A plugin that speaks WebSocket on the sockets that bulkhead hands in: JSON requests, JSON answers.
//
// What makes it a good plugin, and is worth copying:
//   * It serves on inherited sockets: descriptor 3 and up, LISTEN_FDS of them. It binds nothing itself.
//   * On SIGTERM it drains (docs/draining.md). WebSocket has no word for "this was my last answer": a close frame ends
//     the connection for requests that are on their way, too. So it has one of its own, {"draining": true}. A client that
//     has read it brings its next request on a new connection, and closes this one when it has all its answers.
'use strict';

const http = require('node:http');
const net = require('node:net');
const { WebSocketServer } = require('ws');

const FIRST_FD = 3;
const MOST_TURNS = 1000; // of the event loop, each of which takes one connection from the queue
const MOST_BYTES = 1024 * 1024; // of a message
const MOST_UNREAD = 4 * MOST_BYTES; // of answers that a client does not take
const PING_MS = 30_000;
const SANDBOX = process.env.BULKHEAD_SANDBOX ?? `process ${process.pid}`;
const DRAINING = JSON.stringify({ draining: true });

let stopping = false;
let taken = 0;
const clients = new Set();

/** The one function to change: what this plugin is for. */
function answer(request) {
  return { text: `hello ${request.text}`, sandbox: SANDBOX };
}

function respond(client, data) {
  let request;
  try {
    request = JSON.parse(data);
  } catch {
    client.close(1007, 'no JSON');
    return;
  }
  client.send(JSON.stringify({ id: request?.id, ...answer(request ?? {}) }));
  // A client that asks and does not read would cost memory without end.
  if (client.bufferedAmount > MOST_UNREAD) client.terminate();
}

function welcome(client) {
  clients.add(client);
  client.isAlive = true;
  client.on('pong', () => {
    client.isAlive = true;
  });
  client.on('message', (data) => respond(client, data));
  client.on('error', () => client.terminate()); // no frame, or too large a one
  client.on('close', () => clients.delete(client));
  if (stopping) client.send(DRAINING);
}

/** A client that has gone without a word is found by its silence. */
function ping() {
  for (const client of clients) {
    if (!client.isAlive) client.terminate();
    client.isAlive = false;
    client.ping();
  }
}

function listen(fd) {
  const server = http.createServer((request, response) => {
    response.writeHead(426, { Upgrade: 'websocket', Connection: 'close' }).end('a WebSocket is expected\n');
  });
  new WebSocketServer({ server, maxPayload: MOST_BYTES }).on('connection', welcome);
  server.on('connection', () => {
    taken += 1;
  });
  server.listen({ fd });
  return server;
}

/** Resolves when a turn of the event loop has found nobody in the queues. */
async function takeQueues() {
  const turn = () => new Promise(setImmediate);
  await turn(); // the rest of the one that brought the signal
  for (let turns = 0, before = -1; turns < MOST_TURNS && taken !== before; turns += 1) {
    before = taken;
    await turn();
  }
}

async function stop(servers) {
  if (stopping) return;
  stopping = true;
  await takeQueues();
  let open = servers.length;
  // Not server.close() of http: that cuts connections whose first request is on its way.
  for (const server of servers)
    net.Server.prototype.close.call(server, () => {
      open -= 1;
      if (open === 0) process.exit(0); // the last connection has ended
    });
  for (const client of clients) client.send(DRAINING);
}

const count = Number(process.env.LISTEN_FDS ?? 0);
if (count === 0) {
  console.error('no sockets were handed in (LISTEN_FDS); start this as a plugin');
  process.exit(1);
}
const servers = Array.from({ length: count }, (_, index) => listen(FIRST_FD + index));
setInterval(ping, PING_MS).unref();
process.on('SIGTERM', () => stop(servers));
