// Scratch files of a conversion; what belongs to a conversion is cleaned up when it is collected.
const express = require('express');

class Conversion {
    constructor(from, to) {
        this.from = from;
        this.to = to;
        this.table = Array.from({ length: 48 }, (_, i) => ({ input: i, output: i * 2 }));
        this.files = [`/scratch/${from}`, `/scratch/${to}`];
    }
    cleanUp() {
        this.files.length = 0;
    }
}

const cleanups = new FinalizationRegistry((cleanUp) => cleanUp());
const app = express();

app.get('/convert/:from/:to', (req, res) => {
    const conversion = new Conversion(req.params.from, req.params.to);
    cleanups.register(conversion, () => conversion.cleanUp());
    res.json({ rows: conversion.table.length });
});

app.get('/units', (req, res) => res.json(Array.from({ length: 100 }, (_, i) => ({ unit: `u${i}`, factor: i * 2.54 }))));

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
