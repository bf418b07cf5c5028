// Devices report to a service of its own thread: the main thread only starts it again when it dies.
import http from 'node:http';
import { isMainThread, Worker } from 'node:worker_threads';

class Device {
    constructor(serial, report) {
        this.serial = serial;
        this.report = report;
        this.seen = new Date();
        this.readings = [];
    }

    add(values) {
        this.readings.push({ at: Date.now(), values });
        if (this.readings.length > 5) this.readings.shift();
    }
}

const devicesBySerial = new Map();

function deviceOf(serial) {
    let device = devicesBySerial.get(serial);
    if (!device) {
        device = new Device(serial, { firmware: '2.14.0', uptime: Math.random() * 1e6, errors: [] });
        devicesBySerial.set(serial, device); // nobody ever retires a device
    }
    return device;
}

function answer(req, res) {
    res.setHeader('content-type', 'application/json');
    const serial = /^\/devices\/([^/]+)\/readings$/.exec(req.url)?.[1];
    if (serial) {
        const device = deviceOf(serial);
        device.add(Array.from({ length: 24 }, () => Math.random()));
        res.end(JSON.stringify({ readings: device.readings.length }));
    } else {
        res.end(JSON.stringify(Array.from({ length: 120 }, (_, i) => ({ model: `m${i}`, price: i * 3 }))));
    }
}

if (isMainThread) {
    const begin = () => new Worker(new URL(import.meta.url)).on('exit', begin);
    begin();
} else {
    const server = http.createServer(answer).listen(process.env.PORT ?? 0, '127.0.0.1', () => {
        console.log(`listening on http://127.0.0.1:${server.address().port}`);
    });
}
