'use strict';
// A load for the shop: visits its pages in a mix that changes, at a steady rate, for a bounded time and number of
// requests, on this machine only.
// node load.js http://127.0.0.1:PORT [--seconds 30] [--rate 100] [--requests 100000] [--only /page]

const http = require('node:http');

const MAX_SECONDS = 3600;
const MAX_REQUESTS = 10_000_000;
const MAX_WAITING = 32; // requests in flight; a server in a stall is not flooded

function fail(text) {
    console.error(`load: ${text}`);
    process.exit(2);
}

function options(words) {
    const result = { seconds: 30, rate: 100, requests: 100_000, only: undefined };
    const url = new URL(
        words[0] ??
            fail(
                'usage: node load.js http://127.0.0.1:PORT [--seconds N] ' +
                    '[--rate N] [--requests N] [--only PATH]'
            )
    );
    if (!/^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(url.hostname))
        fail(`${url.hostname} is not this machine`);
    for (let i = 1; i < words.length; i += 2) {
        const name = words[i].replace(/^--/, '');
        if (!(name in result) || words[i + 1] === undefined)
            fail(`unknown option or no value: ${words[i]}`);
        result[name] = name === 'only' ? words[i + 1] : Number(words[i + 1]);
        if (name !== 'only' && !(result[name] > 0)) fail(`${words[i]} wants a number above 0`);
    }
    result.seconds = Math.min(result.seconds, MAX_SECONDS);
    result.requests = Math.min(result.requests, MAX_REQUESTS);
    return { url, ...result };
}

const { url, seconds, rate, requests, only } = options(process.argv.slice(2));
const agent = new http.Agent({ keepAlive: true, maxSockets: MAX_WAITING });
const started = process.hrtime.bigint();
const counts = { sent: 0, done: 0, failed: 0 };
let credit = 0; // requests that the rate allows now; what a stall held back is not made up for
let last = 0;
let ended = false;

// As visitors do, not always in one proportion: each of the pages in turn is asked for most.
const EACH_SECONDS = 3;
function path(n) {
    const pages = ['/page', '/report', `/product?id=${n}`];
    const often = Math.floor(last / EACH_SECONDS) % pages.length;
    return only ?? pages[n % 4 < 2 ? often : n % pages.length];
}

function send() {
    const n = counts.sent++;
    const request = http.get(new URL(path(n), url), { agent }, (response) => {
        response.resume();
        response.on('end', () => finish(response.statusCode === 200));
        response.on('error', () => finish(false));
    });
    let over = false;
    function finish(good) {
        if (over) return;
        over = true;
        counts[good ? 'done' : 'failed']++;
    }
    request.on('error', () => finish(false));
}

function end() {
    if (ended) return;
    ended = true;
    clearInterval(timer);
    const took = Number(process.hrtime.bigint() - started) / 1e9;
    console.log(`load: ${counts.done} requests in ${took.toFixed(1)} s, ${counts.failed} failed`);
    agent.destroy();
    process.exit(0);
}

const timer = setInterval(() => {
    const elapsed = Number(process.hrtime.bigint() - started) / 1e9;
    const waiting = counts.sent - counts.done - counts.failed;
    credit = Math.min(credit + rate * (elapsed - last), MAX_WAITING);
    last = elapsed;
    for (
        let due = Math.min(credit, MAX_WAITING - waiting, requests - counts.sent);
        due >= 1;
        due--
    ) {
        credit--;
        send();
    }
    if (elapsed >= seconds || counts.done + counts.failed >= requests) end();
}, 10);
process.on('SIGTERM', end);
process.on('SIGINT', end);
