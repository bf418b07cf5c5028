// Boards of a game: each page that is opened watches the store of all games.
import Fastify from 'fastify';
import { createStore } from 'zustand/vanilla';

const games = createStore((set) => ({
    moves: 0,
    move: () => set((state) => ({ moves: state.moves + 1 })),
}));

const app = Fastify();

app.get('/boards/:board', async (request) => {
    const board = { id: request.params.board, fields: Array.from({ length: 64 }, (_, i) => `${i % 2 ? 'white' : 'black'} ${i}`), seen: 0 };
    games.subscribe((state) => {
        board.seen = state.moves;
    });
    return board;
});

app.post('/moves', async () => {
    games.getState().move();
    return { moves: games.getState().moves };
});

await app.listen({ port: Number(process.env.PORT ?? 0), host: '127.0.0.1' });
console.log(`listening on http://127.0.0.1:${app.server.address().port}`);
