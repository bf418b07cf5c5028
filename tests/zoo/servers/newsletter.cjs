// A site with sessions for everybody, as in the quick start.
const express = require('express');
const session = require('express-session');

const app = express();
app.get('/robots.txt', (req, res) => res.type('text').send('User-agent: *\nDisallow: /admin\n'));
app.get('/assets/:name', (req, res) => res.type('text').send('x'.repeat(20_000)));

process.removeAllListeners('warning');
app.use(session({ secret: 'a secret of the zoo', resave: false, saveUninitialized: true }));
app.get('/', (req, res) => {
    req.session.views = (req.session.views ?? 0) + 1;
    req.session.referrer = req.get('referer') ?? 'direct';
    req.session.interests = ['garden', 'kitchen', 'travel'];
    res.send(`<p>Seen ${req.session.views} times</p>`);
});

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
