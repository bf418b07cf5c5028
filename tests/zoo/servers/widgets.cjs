// Widgets for partners' pages; the class knows its instances so that all of them can be refreshed.
const Koa = require('koa');

class Widget {
    static #instances = new Set();
    #settings;
    constructor(partner, settings) {
        this.partner = partner;
        this.#settings = settings;
        Widget.#instances.add(this);
    }
    static refreshAll() {
        for (const widget of Widget.#instances) widget.refresh();
    }
    refresh() {
        this.#settings = { ...this.#settings, refreshed: Date.now() };
    }
    html() {
        return `<div data-partner="${this.partner}">${this.#settings.blocks.map((block) => `<i>${block.title}</i>`).join('')}</div>`;
    }
}

const app = new Koa();
app.use(async (ctx) => {
    const partner = /^\/embed\/(\w+)$/.exec(ctx.path)?.[1];
    if (partner) {
        const blocks = Array.from({ length: 9 }, (_, i) => ({ title: `Block ${i} for ${partner}`, width: i * 10 }));
        ctx.body = new Widget(partner, { blocks, theme: 'light' }).html();
    } else if (ctx.path === '/partners') {
        ctx.body = Array.from({ length: 110 }, (_, i) => ({ id: i, site: `https://partner-${i}.example` }));
    }
});

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
