// A broadcaster on Node.js with socket.io, as its documentation suggests it: every message to every client, the sender
// included. With a Redis server it is one of several nodes that share its stream.
// Usage: node socketio-redis.js PORT [redis://HOST:PORT]
'use strict';

const { createServer } = require('node:http');
const { Server } = require('socket.io');
const { createAdapter } = require('@socket.io/redis-streams-adapter');
const { createClient } = require('redis');

const [, , port, url] = process.argv;

async function start() {
  const options = { transports: ['websocket'], serveClient: false };
  if (url) {
    // A command that has waited for five seconds would be given up, and its message lost for the other nodes.
    const client = createClient({ url, commandOptions: { timeout: undefined } });
    client.on('error', (error) => console.error(`redis: ${error.message}`));
    await client.connect();
    options.adapter = createAdapter(client);
  }
  const server = createServer();
  const io = new Server(server, options);
  io.on('connection', (socket) => {
    socket.on('message', (text) => io.emit('message', text));
  });
  server.listen({ host: '127.0.0.1', port: Number(port), backlog: 4096 });
}

start();
