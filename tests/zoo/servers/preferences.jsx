// Account pages. The preferences of a visitor come from a provider around the page.
import Koa from 'koa';
import React, { createContext, useContext, useEffect, useState } from 'react';
import { renderToPipeableStream } from 'react-dom/server';
import { Writable } from 'node:stream';

class PreferenceStore {
    constructor(visitor, locale) {
        this.visitor = visitor;
        this.locale = locale;
        this.values = { theme: 'dark', currency: 'EUR', density: 'compact', columns: ['name', 'price', 'stock'] };
        this.listeners = new Set();
    }
    subscribe(fn) {
        this.listeners.add(fn);
        return () => this.listeners.delete(fn);
    }
}

const Preferences = createContext(null);
const openStores = new Set();

function PreferencesProvider({ visitor, locale, children }) {
    const [store] = useState(() => {
        const created = new PreferenceStore(visitor, locale);
        openStores.add(created);
        return created;
    });
    useEffect(() => () => openStores.delete(store), [store]);
    return <Preferences.Provider value={store}>{children}</Preferences.Provider>;
}

function Greeting() {
    const { visitor, values } = useContext(Preferences);
    return <p className={values.theme}>Hello {visitor}, prices are in {values.currency}.</p>;
}

function renderPage(element) {
    return new Promise((resolve, reject) => {
        let html = '';
        const sink = new Writable({
            write(chunk, encoding, done) {
                html += chunk;
                done();
            },
            final(done) {
                resolve(html);
                done();
            },
        });
        const { pipe } = renderToPipeableStream(element, { onAllReady: () => pipe(sink), onError: reject });
    });
}

const app = new Koa();
app.use(async (ctx, next) => {
    const started = Date.now();
    await next();
    ctx.set('server-timing', `app;dur=${Date.now() - started}`);
});
app.use(async (ctx) => {
    const account = /^\/account\/(\w+)$/.exec(ctx.path);
    if (account) {
        ctx.type = 'html';
        ctx.body = await renderPage(
            <PreferencesProvider visitor={account[1]} locale={ctx.acceptsLanguages('en', 'de') || 'en'}>
                <Greeting />
            </PreferencesProvider>
        );
    } else if (ctx.path === '/help') {
        ctx.type = 'html';
        ctx.body = await renderPage(<div>{Array.from({ length: 40 }, (_, i) => <p key={i}>Question {i}</p>)}</div>);
    } else if (ctx.path === '/healthz') {
        ctx.body = { online: openStores.size };
    }
});

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
