// Tools that are loaded when they are first used.
const express = require('express');
const tools = ['chunk', 'groupBy', 'sortBy', 'debounce', 'template', 'merge', 'cloneDeep', 'camelCase', 'zipObject', 'orderBy',
    'uniqBy', 'flattenDeep', 'partition', 'words', 'truncate', 'defaultsDeep', 'pick', 'omit', 'range', 'times'];
const heavy = ['winston', 'rxjs', 'pg', 'undici', 'hono', 'zustand', 'graphql', 'ioredis'];

const app = express();

app.get('/tools/:number', (req, res) => {
    const name = tools[Number(req.params.number) % tools.length];
    const tool = require(`lodash/${name}`);
    res.json({ name, arguments: tool.length });
});

app.get('/modules/:number', (req, res) => {
    const number = Math.floor(Number(req.params.number) / 60);
    const name = heavy[Math.min(number, heavy.length - 1)];
    res.json({ name, exports: Object.keys(require(name)).length });
});

app.get('/', (req, res) => res.send('tools'));

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
