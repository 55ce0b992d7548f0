// A plugin that speaks gRPC on the sockets that bulkhead hands in.
//
// What makes it a good plugin, and is worth copying:
//   * It serves on inherited sockets: descriptor 3 and up, LISTEN_FDS of them. The library can only bind addresses of
//     its own, so it is given the connections that we accept.
//   * On SIGTERM it drains (docs/draining.md): it takes who is in the queue already and nobody after them, and tells each
//     client so in the protocol's own words (GOAWAY): calls that it has are finished, and new ones go elsewhere. It exits
//     with status 0 when all have left.
'use strict';

const net = require('node:net');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const FIRST_FD = 3;
const MOST_TURNS = 1000; // of the event loop, each of which takes one connection from the queue
const MOST_GREETINGS = 10_000;
const SANDBOX = process.env.BULKHEAD_SANDBOX ?? `process ${process.pid}`;
const LONGEST_CALL_MS = 24 * 60 * 60 * 1000; // it is bulkhead that ends what lasts too long

let taken = 0;

/** What this plugin is for: one function for each call of hello.proto. */
const methods = {
  greet({ request }, answer) {
    answer(null, { text: `hello ${request.name}`, sandbox: SANDBOX });
  },

  async greetOften(call) {
    const times = Math.min(call.request.times, MOST_GREETINGS);
    for (let each = 1; each <= times && !call.cancelled; each += 1) {
      const more = call.write({ text: `hello ${call.request.name}, ${each}`, sandbox: SANDBOX });
      // A client that reads slowly is waited for.
      if (!more) await new Promise((resolve) => call.once('drain', resolve).once('cancelled', resolve));
    }
    call.end();
  },
};

const definition = loader.loadSync(path.join(__dirname, 'hello.proto'));
const server = new grpc.Server();
server.addService(grpc.loadPackageDefinition(definition).hello.Hello.service, methods);
const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());

function listen(fd) {
  const listener = net.createServer((socket) => {
    taken += 1;
    socket.on('error', () => socket.destroy()); // the client is gone
    injector.injectConnection(socket);
  });
  listener.listen({ fd });
  return listener;
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

let stopping = false;
async function stop(listeners) {
  if (stopping) return;
  stopping = true;
  await takeQueues();
  let open = listeners.length;
  for (const listener of listeners)
    listener.close(() => {
      open -= 1;
      if (open === 0) process.exit(0); // the last connection has ended
    });
  injector.drain(LONGEST_CALL_MS);
}

const count = Number(process.env.LISTEN_FDS ?? 0);
if (count === 0) {
  console.error('no sockets were handed in (LISTEN_FDS); start this as a plugin');
  process.exit(1);
}
const listeners = Array.from({ length: count }, (_, index) => listen(FIRST_FD + index));
process.on('SIGTERM', () => stop(listeners));
