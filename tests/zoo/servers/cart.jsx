// The cart page. Each render makes a store, and the provider keeps it in step with stock changes.
import Fastify from 'fastify';
import React, { createContext, useContext, useState } from 'react';
import { renderToString } from 'react-dom/server';
import { createStore } from 'zustand/vanilla';
import { useStore } from 'zustand';
import mitt from './tiny-bus.mjs';

const stockChanges = mitt();
const CartContext = createContext(null);

function CartProvider({ lines, children }) {
    const [store] = useState(() => {
        const cart = createStore((set) => ({
            lines,
            total: lines.reduce((sum, line) => sum + line.price, 0),
            outOfStock: [],
            markOut: (sku) => set((state) => ({ outOfStock: [...state.outOfStock, sku] })),
        }));
        stockChanges.on('out-of-stock', (sku) => cart.getState().markOut(sku));
        return cart;
    });
    return <CartContext.Provider value={store}>{children}</CartContext.Provider>;
}

function Total() {
    const total = useStore(useContext(CartContext), (state) => state.total);
    return <strong>{total}</strong>;
}

const app = Fastify();

app.get('/cart/:id', async (request, reply) => {
    const lines = Array.from({ length: 12 }, (_, i) => ({ sku: `${request.params.id}-${i}`, price: 10 + i, title: `Item ${i} of cart` }));
    reply.type('text/html');
    return renderToString(<CartProvider lines={lines}><Total /></CartProvider>);
});

app.get('/search', async (request) => {
    const words = String(request.query.q ?? 'shoes').split(' ');
    return Array.from({ length: 100 }, (_, i) => ({ id: i, title: words.map((w) => w + i).join(' ') }));
});

await app.listen({ port: Number(process.env.PORT ?? 0), host: '127.0.0.1' });
console.log(`listening on http://127.0.0.1:${app.server.address().port}`);
