// Sessions that end after two seconds: more traffic means more of them, but each goes.
import express from 'express';

class Session {
    constructor(id) {
        this.id = id;
        this.items = Array.from({ length: 10 }, (_, i) => ({ item: i, count: 1 }));
        this.expires = Date.now() + 2000;
    }
}

const sessions = new Map();
setInterval(() => {
    const now = Date.now();
    for (const [id, session] of sessions) if (session.expires < now) sessions.delete(id);
}, 500).unref();

const app = express();
app.get('/session/:id', (req, res) => {
    const session = new Session(req.params.id);
    sessions.set(session.id, session);
    res.json({ id: session.id, open: sessions.size > 0 });
});
app.get('/faq', (req, res) => res.json(Array.from({ length: 60 }, (_, i) => ({ q: `Question ${i}`, a: `Answer ${i}` }))));

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
