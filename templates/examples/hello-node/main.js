// A plugin in JavaScript: an HTTP/1.1 server on the sockets that bulkhead hands in. Nothing but Node.js.
//
// What makes it a good plugin, and is worth copying:
//   * It serves on inherited sockets: descriptor 3 and up, LISTEN_FDS of them. It binds nothing itself.
//     All sandboxes of the plugin take connections from the same socket; Node.js copes with that.
//   * On SIGTERM it drains (docs/draining.md): it takes who is in the queue already and nobody after them, tells each
//     client with its next answer that it is the last one, and exits with status 0 when all have left.
//   * It tells what it is doing by its activity page, so that it is known of a hang what hangs.
'use strict';

const http = require('node:http');
const net = require('node:net');
const { Activity, Slot } = require('./activity.js');

const FIRST_FD = 3;
const TICK_MS = 1000;
const MOST_TURNS = 1000; // of the event loop, each of which takes one connection from the queue

let stopping = false;
let taken = 0;
const connections = new Set();

/** The one function to change: what this plugin is for. */
function answer(method, path, body) {
  return `hello from node: ${method} ${path}, ${body.length} bytes, pid ${process.pid}\n`;
}

const activity = new Activity();
const slot = new Slot(activity);

async function respond(request, response) {
  const inHand = slot.begin(request.url);
  response.on('close', () => slot.end(inHand, response.writableFinished));
  const parts = [];
  for await (const part of request) parts.push(part);
  const text = answer(request.method, request.url, Buffer.concat(parts));
  // Tells the client to bring its next request to another sandbox.
  if (stopping) response.setHeader('Connection', 'close');
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.setHeader('Content-Length', Buffer.byteLength(text));
  response.end(text);
}

function listen(fd) {
  const server = http.createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
    respond(request, response).catch(() => response.destroy()); // the client left in the middle of its request
  });
  server.on('connection', (socket) => {
    taken += 1;
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
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

/**
 * Who waits in the queue has been told that the connection is made, so it is taken. Connections without a request stay
 * until their client asks or leaves: a request may be on its way into any that we would close. It is bulkhead that ends
 * what lasts too long.
 */
async function stop(servers) {
  if (stopping) return;
  stopping = true;
  // The time that a connection may be silent is over some day, too, just when the next request is on its way.
  for (const server of servers) server.keepAliveTimeout = 0;
  for (const socket of connections) socket.setTimeout(0);
  await takeQueues();
  let open = servers.length;
  const closed = () => {
    open -= 1;
    if (open === 0) process.exit(0);
  };
  // Not server.close(): that cuts silent connections at once.
  for (const server of servers) net.Server.prototype.close.call(server, closed);
}

const count = Number(process.env.LISTEN_FDS ?? 0);
if (count === 0) {
  console.error('no sockets were handed in (LISTEN_FDS); start this as a plugin');
  process.exit(1);
}
const servers = Array.from({ length: count }, (_, index) => listen(FIRST_FD + index));
activity.tick();
setInterval(() => activity.tick(), TICK_MS);
process.on('SIGTERM', () => stop(servers));
