// A broadcaster on Node.js with `ws`, as its documentation suggests it: every message to every open client, the sender
// included. Serves version 7 and 8, which differ in what they hand to a listener. Usage: node ws-broadcast.js ws7 PORT
'use strict';

const [, , version, port] = process.argv;
const WebSocket = require(version);

const server = new WebSocket.Server({ host: '127.0.0.1', port: Number(port), backlog: 4096 });

server.on('connection', (client) => {
  client.send('connected to WebSocket server');
  // A client that vanishes is no reason to end the server.
  client.on('error', () => {});
  client.on('message', (message, isBinary) => {
    // Version 7 gives text as a string; version 8 gives a Buffer and says what it was.
    const binary = version === 'ws7' ? typeof message !== 'string' : isBinary;
    for (const other of server.clients) {
      if (other.readyState === WebSocket.OPEN) other.send(message, { binary });
    }
  });
});
