// Internal dashboards, rendered on the server, shipped as one minified file.
import { createServer } from 'node:http';
import React, { createContext, useContext } from 'react';
import { renderToString } from 'react-dom/server';
import { QueryClient, QueryClientProvider, useQueryClient } from '@tanstack/react-query';

const Team = createContext(null);

function Widget({ name }) {
    const client = useQueryClient();
    const team = useContext(Team);
    return <section><h2>{name} of {team.name}</h2><b>{client.getQueryData(['widget', name])?.value}</b></section>;
}

async function render(team) {
    const client = new QueryClient();
    client.mount();
    for (const name of ['sales', 'visits', 'returns'])
        await client.prefetchQuery({ queryKey: ['widget', name], queryFn: async () => ({ value: name.length * 17 }) });
    return renderToString(
        <QueryClientProvider client={client}>
            <Team.Provider value={team}>
                <Widget name="sales" /><Widget name="visits" /><Widget name="returns" />
            </Team.Provider>
        </QueryClientProvider>
    );
}

const server = createServer(async (req, res) => {
    const url = new URL(req.url, 'http://localhost');
    if (url.pathname.startsWith('/teams/')) {
        res.end(await render({ name: decodeURIComponent(url.pathname.slice(7)) }));
    } else if (url.pathname === '/export') {
        const lines = [];
        for (let day = 0; day < 365; day++) lines.push(['2024', day, day * 31, day * 7].join(';'));
        res.setHeader('content-type', 'text/csv');
        res.end(lines.join('\n'));
    } else {
        res.statusCode = url.pathname === '/ready' ? 200 : 404;
        res.end();
    }
});

server.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
