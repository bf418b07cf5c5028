// A boutique as React Router's own server serves it (react-router-serve with a server build): each
// page is rendered on the server; what a visitor has looked at is to come up again on later pages.
import { renderToString } from 'react-dom/server';
import { Link, Outlet, ServerRouter, useLoaderData } from 'react-router';

class Visit {
    constructor(product) {
        this.started = Date.now();
        this.looked = [product];
        this.offers = Array.from({ length: 8 }, (_, i) => ({ product: `${product}-${i}`, reason: 'others bought it' }));
    }
}

// A visitor has a cookie with the visit's id; there is nobody who ends a visit.
const visits = new Map();

function visitOf(request, product) {
    const id = /visit=([\w-]+)/.exec(request.headers.get('cookie') ?? '')?.[1] ?? crypto.randomUUID();
    if (!visits.has(id)) visits.set(id, new Visit(product));
    return visits.get(id);
}

const pages = {
    root: {
        path: '',
        module: { default: () => <html lang="en"><body><Link to="/about">About us</Link><Outlet /></body></html> },
    },
    product: {
        path: 'products/:id',
        parentId: 'root',
        module: {
            loader: ({ request, params }) => ({ id: params.id, offers: visitOf(request, params.id).offers }),
            default: function Product() {
                const { id, offers } = useLoaderData();
                return (
                    <main>
                        <h1>Product {id}</h1>
                        <ul>{offers.map((offer) => <li key={offer.product}>{offer.product}: {offer.reason}</li>)}</ul>
                    </main>
                );
            },
        },
    },
    about: {
        path: 'about',
        parentId: 'root',
        module: {
            default: () => <main>{Array.from({ length: 30 }, (_, i) => <p key={i}>In our {i}th year we moved house.</p>)}</main>,
        },
    },
};

// What `react-router build` writes, as far as the server needs it.
export const routes = Object.fromEntries(Object.entries(pages).map(([id, page]) => [id, { id, ...page }]));
const facts = ({ id, path, parentId, module }) => ({
    id, path, parentId, module: '', hasAction: false, hasLoader: 'loader' in module, hasClientAction: false,
    hasClientLoader: false, hasClientMiddleware: false, hasErrorBoundary: false,
});
export const assets = {
    version: '1', url: '', entry: { imports: [], module: '' },
    routes: Object.fromEntries(Object.values(routes).map((route) => [route.id, facts(route)])),
};
export const entry = {
    module: {
        default(request, status, headers, context) {
            headers.set('content-type', 'text/html');
            const html = renderToString(<ServerRouter context={context} url={request.url} />);
            return new Response(`<!doctype html>${html}`, { status, headers });
        },
    },
};
export const publicPath = '/';
export const assetsBuildDirectory = 'client';
export const basename = '/';
export const future = {};
export const ssr = true;
export const isSpaMode = false;
export const prerender = [];
export const routeDiscovery = { mode: 'initial' };
