// A server build for react-router-serve, as its own build step would write it: three routes of data.
const text = (words, status = 200) => new Response(words, { status });
const route = (id, path, module) => [id, { id, path, parentId: undefined, module }];
export const routes = Object.fromEntries([
    route('hello', 'hello', { loader: () => text('hello') }),
    route('product', 'products/:id', { loader: () => text('hello') }),
    route('items', 'items', { action: () => text('', 201) }),
]);
const facts = (id) => ({ id, path: routes[id].path, hasAction: id === 'items', hasLoader: id !== 'items', hasClientAction: false,
    hasClientLoader: false, hasClientMiddleware: false, hasErrorBoundary: false, module: '' });
export const entry = { module: { default: () => text('no page', 500) } };
export const assets = { version: '1', url: '', entry: { imports: [], module: '' },
    routes: Object.fromEntries(Object.keys(routes).map((id) => [id, facts(id)])) };
export const publicPath = '/';
export const assetsBuildDirectory = 'client';
export const basename = '/';
export const future = {};
export const ssr = true;
export const isSpaMode = false;
export const prerender = [];
export const routeDiscovery = { mode: 'initial' };
