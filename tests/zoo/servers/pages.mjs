// Pages of a magazine, rendered once and answered from memory after that.
import { createServer } from 'node:http';

const rendered = {};

function render(path) {
    const paragraphs = Array.from({ length: 6 }, (_, i) => `<p>Paragraph ${i} of ${path}</p>`);
    return `<html><body><h1>${path}</h1>${paragraphs.join('')}</body></html>`;
}

function page(url) {
    if (!rendered[url]) rendered[url] = Buffer.from(render(url)).toString('latin1');
    return rendered[url];
}

const server = createServer((req, res) => {
    if (req.url.startsWith('/articles/')) {
        res.setHeader('content-type', 'text/html');
        res.end(page(req.url));
    } else if (req.url === '/feed') {
        const items = Array.from({ length: 300 }, (_, i) => `<item><title>Article ${i}</title></item>`);
        res.end(`<rss>${items.join('')}</rss>`);
    } else {
        res.writeHead(404).end();
    }
});

server.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
