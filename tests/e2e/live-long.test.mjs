// Ten minutes of `run` as it is by default, without snapshots, beside a leaky server under load on
// every Node at once: the line that leaks comes first by growth in the record of the live profile.
import assert from 'node:assert/strict';
import test from 'node:test';
import { assertExit, get, heaptap, sleep, sql, startTarget, versions, workspace } from './lib.mjs';

const RUN_S = Number(process.env.HEAPTAP_LONG_S ?? 600);

test('the live profile alone puts the leaking line of a server under load first, on every Node', async (t) => {
    const ws = workspace(t);
    const targets = await Promise.all(versions.map((node) => startTarget(t, { node })));
    let on = true;
    t.after(() => (on = false));
    const visits = targets.map(async (target) => {
        for (let i = 0; on; i++) {
            await get(target.url, ['/page', '/report', '/product?id=' + i][i % 3]);
            await sleep(20);
        }
    });
    const run = await heaptap(
        t,
        ws,
        [
            ...['run', '--duration', `${RUN_S}s`, '--no-snapshots', ...ws.own],
            ...targets.map((target) => String(target.port)),
        ],
        { timeout: (RUN_S + 120) * 1000 }
    );
    on = false;
    await Promise.all(visits);
    assertExit(run, 0);
    const of = ['--json', '--db', `sqlite:${ws.db}`];
    const answer = await heaptap(t, ws, ['metrics', 'sites', ...of]);
    assertExit(answer, 0);
    const { rows } = JSON.parse(answer.stdout);
    const seen = sql(ws.db, 'SELECT target_id, runtime_version AS version FROM targets');
    assert.equal(seen.length, versions.length);
    for (const { target_id: id, version } of seen) {
        const first = rows.find((row) => row.target_id === id);
        const said = `${version}: ${JSON.stringify(first)}`;
        // A caller that has inlined the constructor counts as the one that allocates.
        assert.match(first?.function ?? 'none', /^(SessionState(\/<anonymous>)?|page)$/, said);
        assert.match(first.url, /leaky-server\/shop\.js$/, said);
        assert.ok(first.low > 0, said);
        t.diagnostic(
            `${version}: ${first.function}:${first.line_number}, ${first.readings} readings, ` +
                `${first.bytes_per_hour} bytes an hour (${first.low} to ${first.high})`
        );
    }
});
