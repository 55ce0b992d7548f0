// A plugin in JavaScript: an HTTP/1.1 server on the sockets that bulkhead hands in. Nothing but Node.js.
//
// What makes it a good plugin, and is worth copying:
//   * It serves on inherited sockets: descriptor 3 and up, LISTEN_FDS of them. It binds nothing itself.
//     All sandboxes of the plugin take connections from the same socket; Node.js copes with that.
//   * On SIGTERM it stops accepting, answers what is in hand, and exits with status 0.
//   * It tells what it is doing by its activity page, so that it is known of a hang what hangs.
'use strict';

const http = require('node:http');
const net = require('node:net');
const { Activity, Slot } = require('./activity.js');

const FIRST_FD = 3;
const TICK_MS = 1000;
const LAST_CALL_MS = 1000; // a silent connection is kept open so long after SIGTERM: a request may be on its way

let stopping = false;
/** Connections without a request in hand. */
const silent = new Set();

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
    const { socket } = request;
    silent.delete(socket);
    response.on('finish', () => socket.destroyed || silent.add(socket));
    respond(request, response).catch(() => response.destroy()); // the client left in the middle of its request
  });
  server.on('connection', (socket) => {
    silent.add(socket);
    socket.on('close', () => silent.delete(socket));
  });
  server.listen({ fd });
  return server;
}

function stop(servers) {
  if (stopping) return;
  stopping = true;
  let open = servers.length;
  const closed = () => {
    open -= 1;
    if (open === 0) process.exit(0);
  };
  for (const server of servers) {
    // Not server.close(): that cuts silent connections at once, together with a request that is on its way in.
    net.Server.prototype.close.call(server, closed);
  }
  // Nor server.closeIdleConnections(): it knows only those that had a request before.
  setTimeout(() => silent.forEach((socket) => socket.destroy()), LAST_CALL_MS);
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
