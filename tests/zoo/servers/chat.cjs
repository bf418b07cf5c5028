// Chat rooms over long polling: what is said in a room comes in by Redis.
const express = require('express');
const Redis = require('ioredis');

const commands = new Redis(process.env.REDIS_URL);
const incoming = commands.duplicate();
incoming.setMaxListeners(0);
incoming.subscribe('rooms');

const app = express();

function poll(room, done) {
    const backlog = [];
    const timeout = setTimeout(() => done(backlog), 2);
    incoming.on('message', (channel, text) => {
        const said = JSON.parse(text);
        if (said.room !== room) return;
        backlog.push(said);
        if (backlog.length > 50) {
            clearTimeout(timeout);
            done(backlog);
        }
    });
}

app.get('/rooms/:room/messages', (req, res) => {
    poll(req.params.room, (messages) => {
        if (!res.headersSent) res.json(messages);
    });
});

app.get('/rooms', async (req, res) => res.json(await commands.lrange('rooms', 0, -1)));

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
