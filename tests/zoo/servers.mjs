// The zoo's servers and the truth about them: reads what stands in servers/, builds those that are
// shipped as one file, starts them on a Node of choice. Whatever is started is ended by its pid.
import { execFileSync, fork, spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const here = path.dirname(fileURLToPath(import.meta.url));
const house = path.resolve(here, '../..');
const sources = path.join(here, 'servers');
const START_MS = 60_000; // a deadline for hangs

const children = new Set();
process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL');
});

const script = (name, ...args) =>
    execFileSync(path.join(house, 'scripts', name), args, { encoding: 'utf8' }).trim();

// ---- the truth ----

// What is true of each server, by name: its requests, and its leaks (none: it only looks like one).
export function readTruths() {
    const truths = new Map();
    for (const file of fs.readdirSync(sources).sort()) {
        const name = /^(.*)\.truth\.json$/.exec(file)?.[1];
        if (!name) continue;
        const truth = JSON.parse(fs.readFileSync(path.join(sources, file), 'utf8'));
        const source = fs.readdirSync(sources).find((other) =>
            other.startsWith(`${name}.`) && /\.(cjs|mjs|jsx)$/.test(other));
        truths.set(name, { ...truth, name, source });
    }
    return truths;
}

// Where a text or, failing that, a pattern stands in a file: its 1-based line; null if it does not.
// What a bundler notes in between does not count.
export function lineOf(file, pattern) {
    const lines = fs.readFileSync(file, 'utf8').replaceAll('/* @__PURE__ */ ', '').split('\n');
    let at = lines.findIndex((line) => line.includes(pattern));
    if (at < 0) {
        const search = new RegExp(pattern);
        at = lines.findIndex((line) => search.test(line));
    }
    return at < 0 ? null : at + 1;
}

// ---- the place where they run ----

// A folder with all servers and the packages beside them, so that imports resolve.
export function makePlace(root) {
    const packages = script('install-test-packages', 'zoo');
    fs.mkdirSync(root, { recursive: true });
    for (const file of fs.readdirSync(sources))
        if (!file.endsWith('.truth.json')) fs.copyFileSync(path.join(sources, file), path.join(root, file));
    const link = path.join(root, 'node_modules');
    if (!fs.existsSync(link)) fs.symlinkSync(path.join(packages, 'node_modules'), link);
    return root;
}

// The file that runs: the source itself, or one file with everything in it.
export function builtFile(place, truth) {
    if (!truth.bundle) return path.join(place, truth.source);
    return path.join(place, `${truth.name}.built.${truth.bundle.format === 'esm' ? 'mjs' : 'cjs'}`);
}

export async function buildServer(place, truth) {
    const outfile = builtFile(place, truth);
    if (!truth.bundle) return outfile;
    const { build } = createRequire(path.join(place, 'build.cjs'))('esbuild');
    const esm = truth.bundle.format === 'esm';
    await build({
        entryPoints: [path.join(place, truth.source)],
        outfile,
        bundle: truth.bundle.packages !== 'external',
        packages: truth.bundle.packages,
        platform: 'node',
        target: 'node20',
        format: esm ? 'esm' : 'cjs',
        jsx: 'automatic',
        minify: Boolean(truth.bundle.minify),
        define: { 'process.env.NODE_ENV': '"production"' },
        banner: esm
            ? { js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);" }
            : {},
        logLevel: 'error',
    });
    return outfile;
}

export async function startBackends(place) {
    const child = fork(path.join(here, 'backends.mjs'), {
        cwd: place,
        execPath: script('runtime-path', '22'),
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    children.add(child);
    const env = await new Promise((resolve, reject) => {
        child.once('message', resolve);
        child.once('exit', (code) => reject(new Error(`the backends ended with ${code}`)));
    });
    return { env, end: () => end(child) };
}

// Starts it on a Node: { pid, port (of HTTP), inspector (its port), url (of the inspector), end() }.
export async function startServer(place, truth, { node, env }) {
    const port = await freePort();
    const words = truth.serve
        ? [path.join(place, 'node_modules', truth.serve), truth.file]
        : [truth.file];
    const child = spawn(script('runtime-path', node), ['--inspect=127.0.0.1:0', ...words], {
        cwd: place,
        env: { ...process.env, ...env, NODE_OPTIONS: '', NODE_ENV: 'production', PORT: String(port), HOST: '127.0.0.1' },
        stdio: ['ignore', 'ignore', 'pipe'],
    });
    children.add(child);
    let said = '';
    let over = false;
    child.stderr.setEncoding('utf8').on('data', (text) => (said = (said + text).slice(-20_000)));
    child.on('close', () => (over = true));
    const stop = Date.now() + START_MS;
    for (;;) {
        const url = /Debugger listening on (ws:\/\/[^/]*:(\d+)\/\S+)/.exec(said);
        if (url && (await answers(port)))
            return { pid: child.pid, port, inspector: Number(url[2]), url: url[1], said: () => said, end: () => end(child) };
        if (over || Date.now() > stop) {
            await end(child);
            throw new Error(`${truth.name} does not serve on Node ${node}:\n${said}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}

async function end(child) {
    if (child.exitCode === null && child.signalCode === null) {
        const closed = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        await closed;
    }
    children.delete(child);
}

function freePort() {
    return new Promise((resolve, reject) => {
        const server = net.createServer().on('error', reject).listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });
}

const answers = (port) =>
    new Promise((resolve) => {
        const socket = net.connect(port, '127.0.0.1', () => {
            socket.destroy();
            resolve(true);
        });
        socket.on('error', () => resolve(false));
    });

// ---- plain requests, for what is done without probe ----

let numbers = 0;

// Sends "METHOD PATH [BODY]" count times, one after the other; {n} and {uuid} are filled.
export async function send(port, request, count) {
    const [, method, target, body] = /^(\S+) (\S+)(?: (.*))?$/.exec(request);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const fill = (text) => text.replaceAll('{n}', ++numbers).replaceAll('{uuid}', () => crypto.randomUUID());
    const statuses = new Map();
    for (let i = 0; i < count; i++) {
        const status = await new Promise((resolve, reject) => {
            const headers = body ? { 'content-type': 'application/json' } : {};
            http.request({ host: '127.0.0.1', port, method, path: fill(target), agent, headers }, (response) => {
                response.resume().on('end', () => resolve(response.statusCode));
            }).on('error', reject).end(body ? fill(body) : undefined);
        });
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    agent.destroy();
    return statuses;
}

// Bytes that the process holds after full collections: its heap and what stands outside of it.
export async function floorOf(url) {
    const socket = new WebSocket(url);
    await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
    let id = 0;
    const ask = (method, params = {}) =>
        new Promise((resolve) => {
            const own = ++id;
            socket.addEventListener('message', (event) => {
                const answer = JSON.parse(event.data);
                if (answer.id === own) resolve(answer.result);
            });
            socket.send(JSON.stringify({ id: own, method, params }));
        });
    for (let i = 0; i < 3; i++) await ask('HeapProfiler.collectGarbage');
    const { result } = await ask('Runtime.evaluate', {
        expression: '(({ heapUsed, external }) => [heapUsed, external])(process.memoryUsage())',
        returnByValue: true,
    });
    const closed = new Promise((resolve) => (socket.onclose = resolve));
    socket.close();
    await closed;
    return { heap: result.value[0], external: result.value[1] };
}
