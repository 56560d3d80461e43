/** A reverse proxy as people put in front: TLS, and a prefix that it takes off. It passes upgrades on, and the Host as it came. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

function certificate(name) {
  const folder = mkdtempSync(join(tmpdir(), 'foghorn-proxy-'));
  const [key, cert] = ['key', 'cert'].map((file) => join(folder, file));
  try {
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
      '-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`, '-keyout', key, '-out', cert], { stdio: 'pipe' });
    return { key: readFileSync(key), cert: readFileSync(cert) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A proxy at `https://NAME:PORT/PREFIX/` in front of a Foghorn on `to`. */
export class Proxy {
  /** What was asked for outside of the prefix. */
  strays = [];
  url;
  #server;
  #sockets = new Set();

  static async start({ name, prefix, to }) {
    const proxy = new Proxy();
    const server = https.createServer(certificate(name));
    proxy.#server = server;
    const inside = ({ url }) => {
      if (url.startsWith(prefix)) return `/${url.slice(prefix.length)}`;
      proxy.strays.push(url);
      return null;
    };
    server.on('connection', (socket) => {
      proxy.#sockets.add(socket);
      socket.on('error', () => {}).on('close', () => proxy.#sockets.delete(socket));
    });
    server.on('request', (request, response) => {
      const path = inside(request);
      if (path === null) return response.writeHead(404).end();
      const { method, headers } = request;
      http.request({ host: '127.0.0.1', port: to, method, path, headers, agent: false }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      }).on('error', () => response.destroy()).end();
    });
    server.on('upgrade', (request, near, first) => {
      const path = inside(request);
      if (path === null) return near.end('HTTP/1.1 404 Not Found\r\n\r\n');
      const far = net.connect(to, '127.0.0.1');
      for (const socket of [near, far]) {
        socket.on('error', () => {}).on('close', () => {
          near.destroy();
          far.destroy();
        });
      }
      const lines = request.rawHeaders.flatMap((name, i, all) => (i % 2 ? [] : [`${name}: ${all[i + 1]}`]));
      far.write([`GET ${path} HTTP/1.1`, ...lines, '', ''].join('\r\n'));
      far.write(first);
      near.pipe(far);
      far.pipe(near);
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    proxy.url = `https://${name}:${server.address().port}${prefix}`;
    return proxy;
  }

  close() {
    this.#server.close();
    this.#sockets.forEach((socket) => socket.destroy());
  }
}
