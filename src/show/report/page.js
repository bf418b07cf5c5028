'use strict';
// Draws the report from the document in #data. Text of the document only ever becomes text nodes or
// is painted on a canvas; nothing here makes HTML of it.
(function () {
    const doc = JSON.parse(document.getElementById('data').textContent);
    const root = document.getElementById('report');

    // ---- small tools ----

    function h(name, attributes, ...children) {
        const element = document.createElement(name);
        for (const [key, value] of Object.entries(attributes ?? {}))
            if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
            else if (value !== null && value !== undefined && value !== false)
                element.setAttribute(key, value === true ? '' : String(value));
        element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined));
        return element;
    }
    const list = (value) => (Array.isArray(value) ? value : []);
    const text = (value) => (typeof value === 'string' ? value : value == null ? '' : String(value));
    const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);

    // Names within a sentence stand between backticks.
    const prose = (value) => text(value).split(/`([^`]+)`/).map((part, i) => (i % 2 ? h('code', {}, part) : part));

    // {columns, rows} as objects; times ("at", "…_at") as milliseconds.
    function answer(value) {
        const columns = list(value?.columns);
        return list(value?.rows).map((row) => {
            const object = {};
            columns.forEach((column, i) => {
                const cell = row[i];
                object[column] = /(^|_)at$/.test(column) && cell ? Date.parse(cell) : cell;
            });
            return object;
        });
    }

    function size(bytes) {
        if (!isNumber(bytes)) return '–';
        const units = ['B', 'KB', 'MB', 'GB', 'TB'];
        let unit = 0;
        let value = Math.abs(bytes);
        while (value >= 1024 && unit < units.length - 1) {
            value /= 1024;
            unit++;
        }
        const digits = unit === 0 || value >= 100 ? 0 : 1;
        return `${bytes < 0 ? '−' : ''}${value.toFixed(digits)} ${units[unit]}`;
    }
    const signed = (format) => (value) => (isNumber(value) && value > 0 ? '+' : '') + format(value);
    function count(value) {
        return isNumber(value) ? value.toLocaleString('en-US').replace('-', '−') : '–';
    }
    function duration(ms) {
        if (!isNumber(ms)) return '–';
        const s = ms / 1000;
        if (ms < 1000) return `${ms < 10 && ms > 0 ? ms.toFixed(1) : Math.round(ms)} ms`;
        if (s < 60) return `${s.toFixed(1)} s`;
        if (s < 3600) return `${Math.floor(s / 60)} m ${Math.floor(s % 60)} s`;
        if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} m`;
        return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
    }
    const share = (value) => (isNumber(value) ? `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} %` : '–');
    const two = (n) => String(n).padStart(2, '0');
    const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');
    function day(ms, year) {
        const d = new Date(ms);
        return `${d.getUTCDate()} ${months[d.getUTCMonth()]}${year ? ` ${d.getUTCFullYear()}` : ''}`;
    }
    function clock(ms, seconds = true) {
        const d = new Date(ms);
        return `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}${seconds ? `:${two(d.getUTCSeconds())}` : ''}`;
    }
    const moment = (ms) => (isNumber(ms) ? `${day(ms)}, ${clock(ms)}` : '–');
    const basename = (url) => text(url).replace(/[?#].*$/, '').split('/').filter(Boolean).pop() ?? '';
    const cut = (value, most) =>
        value.length <= most
            ? value
            : `${value.slice(0, Math.ceil(most / 2) - 1)}…${value.slice(-Math.floor(most / 2))}`;
    const place = (site, whole) => {
        const file = whole ? text(site.url) : basename(site.url);
        const line = site.line ?? site.line_number;
        const column = site.column ?? site.column_number;
        return file + (line ? `:${line}${whole && column ? `:${column}` : ''}` : '');
    };
    const plural = (n, word) => `${count(n)} ${word}${n === 1 ? '' : 's'}`;

    // ---- the document ----

    const run = answer(doc.run)[0] ?? {};
    const diagnosis = doc.diagnosis ?? null;
    const suspects = list(diagnosis?.suspects).filter((s) => s && typeof s === 'object');
    const targets = answer(doc.targets);
    const memory = answer(doc.memory);
    const floors = answer(doc.floors);
    const captures = answer(doc.captures);
    const totals = answer(doc.capture_totals);
    const events = answer(doc.events);
    const classSeries = answer(doc.class_series);
    const siteSeries = answer(doc.site_series);

    // A process that was started again is one with what it was before, when all looks the same.
    const processes = [];
    for (const target of targets) {
        const name = basename(target.title) || text(target.address) || `target ${target.target_id}`;
        const before = processes.find((p) => {
            const last = p.targets[p.targets.length - 1];
            return p.kind === target.kind && p.name === name && last.gone_at && last.gone_at <= target.attached_at;
        });
        if (before) before.targets.push(target);
        else processes.push({ name, kind: target.kind, targets: [target] });
    }
    for (const p of processes) {
        const last = p.targets[p.targets.length - 1];
        p.ids = new Set(p.targets.map((t) => t.target_id));
        const more = p.targets.length - 1;
        p.label = `${p.kind === 'worker' ? 'worker ' : ''}${p.name}, ${last.pid ? `pid ${last.pid}` : `no. ${last.target_id}`}${more ? `, ${plural(more, 'restart')}` : ''}`;
    }
    const judged = diagnosis?.evidence?.target_id;
    let current =
        processes.find((p) => p.ids.has(judged)) ??
        processes.reduce((a, b) => (b.targets[0].attached_at < a?.targets[0].attached_at ? b : a), processes[0]);
    const own = (rows) => rows.filter((row) => !current || current.ids.has(row.target_id));

    // ---- the answer ----

    const verdicts = {
        leak: 'Leak',
        growth: 'Growth',
        'no-leak': 'No leak',
        inconclusive: 'Inconclusive',
    };
    const supports = {
        retention: 'shows retention: what grows also stays',
        growth: 'shows growth, not whether it stays',
        size: 'shows what is large, not what grows',
        nothing: 'shows nothing yet',
    };
    const kinds = {
        'js-heap': 'The JS heap',
        external: 'Memory outside the JS heap that JavaScript owns (buffers)',
        'rss-only': 'Resident memory outside the JS heap and its buffers',
    };

    function sign(verdict) {
        const paths = {
            leak: 'M9 1.5 17 16H1zM9 6.5v4.2M9 12.6v.9',
            growth: 'M2 15 7 9l3.5 3L16 4M11.5 3.5H16.5V8.5',
            'no-leak': 'M2.5 9.5 7 14l8.5-10',
        };
        const ns = 'http://www.w3.org/2000/svg';
        const svg = document.createElementNS(ns, 'svg');
        const path = document.createElementNS(ns, 'path');
        for (const [k, v] of Object.entries({ width: 18, height: 18, viewBox: '0 0 18 18', 'aria-hidden': 'true' }))
            svg.setAttribute(k, v);
        for (const [k, v] of Object.entries({
            d: paths[verdict] ?? 'M5.5 6.5a3.5 3.5 0 1 1 5 3.2c-1 .6-1.5 1-1.5 2.1M9 14.5v.8',
            fill: 'none',
            stroke: 'currentColor',
            'stroke-width': 1.8,
            'stroke-linecap': 'round',
            'stroke-linejoin': 'round',
        }))
            path.setAttribute(k, v);
        svg.append(path);
        return svg;
    }

    function brand() {
        const began = run.started_at;
        const ended = run.ended_at ?? run.updated_at;
        const live = run.state === 'running';
        const span = isNumber(began)
            ? `${day(began, true)}, ${clock(began)}${
                  live ? ', still going on when this was made' : ` to ${ended - began > 864e5 ? `${day(ended)}, ` : ''}${clock(ended)} UTC`
              }`
            : '';
        return h(
            'div',
            { class: 'brand' },
            h('span', {}, h('b', {}, current ? current.name : 'heaptap'), current && processWords(current) ? ` · ${processWords(current)}` : ''),
            h('span', {}, span, run.label ? ` · ${run.label}` : '')
        );
    }

    function processWords(p) {
        const t = p.targets[p.targets.length - 1];
        return [`${text(t.runtime)} ${text(t.runtime_version)}`.trim(), t.pid ? `pid ${t.pid}` : '', run.host ? `on ${run.host}` : '']
            .filter(Boolean)
            .join(' · ');
    }

    // The suspect in a sentence, and in a second one who holds, feeds and allocates it.
    function suspectSentence(suspect) {
        const { instances, bytes } = suspect;
        const grown = isNumber(instances?.last) && instances.last !== instances.first;
        const retained = isNumber(bytes?.retained_growth) && bytes.retained_growth > 0;
        const span = diagnosis?.evidence?.span_seconds;
        return [
            h('code', {}, text(suspect.class) || 'A class that no snapshot has shown'),
            diagnosis.verdict === 'leak' ? ' grows and is never let go' : ' grows',
            grown || retained ? ': ' : '',
            grown ? `${signed(count)(instances.growth)} ${Math.abs(instances.growth) === 1 ? 'object' : 'objects'}` : '',
            retained ? `${grown ? ', ' : ''}+${size(bytes.retained_growth)}` : '',
            isNumber(span) && span > 0 ? ` in ${duration(span * 1000)}` : '',
        ];
    }
    function suspectMore(suspect) {
        const parts = [];
        const holder = suspect.holder ?? {};
        const route = list(suspect.routes)[0];
        const site = list(suspect.allocated_at)[0];
        if (holder.name)
            parts.push(['held by ', text(holder.class), ' ', h('code', {}, text(holder.name)), holder.location?.url ? ` (${place(holder.location)})` : '']);
        else if (holder.text || holder.class) parts.push(['held by ', prose(holder.text || holder.class)]);
        if (route) parts.push([h('code', {}, `${text(route.method)} ${text(route.route)}`.trim()), ` keeps ${size(route.bytes_per_request)} a request`]);
        if (site) parts.push(['allocated at ', h('code', {}, place(site) || text(site.function))]);
        return parts.flatMap((part, i) => (i ? ['; ', part] : [part]));
    }

    function verdictBox() {
        const word = verdicts[diagnosis?.verdict] ? diagnosis.verdict : 'inconclusive';
        const suspect = (word === 'leak' || word === 'growth') && suspects[0];
        // The sentence begins with the word, which stands above it already.
        let sentence = text(doc.headline).replace(/^(Leak|Growth|No leak|Inconclusive): /, '');
        if (!sentence) sentence = 'This run could not be diagnosed';
        sentence = sentence[0].toUpperCase() + sentence.slice(1);
        const kind = kinds[diagnosis?.memory_kind];
        const hourly = diagnosis?.growth?.heap_bytes_per_hour;
        return h(
            'section',
            { class: `verdict ${word}` },
            h('p', { class: 'word' }, sign(diagnosis?.verdict), verdicts[diagnosis?.verdict] ?? 'Not diagnosed'),
            h('h1', {}, suspect ? suspectSentence(suspect) : prose(sentence)),
            suspect ? h('p', { class: 'sub' }, suspectMore(suspect)) : null,
            kind && isNumber(hourly) && hourly > 0 && suspects.length
                ? h('p', { class: 'soft' }, `${kind} is what grows.`)
                : null,
            doc.diagnosis_problem ? h('p', { class: 'soft' }, `Why: ${text(doc.diagnosis_problem)}.`) : null,
            doc.suspects_stored
                ? h('p', { class: 'soft' }, 'The suspects are those that were stored with the run: what is still there does not name their holder.')
                : null
        );
    }

    function keyFigures() {
        const cells = [];
        const cell = (title, main, more) => cells.push(h('div', {}, h('dt', {}, title), h('dd', { class: 'main' }, main), h('dd', { class: 'more' }, more ?? '')));
        const growth = diagnosis?.growth;
        const evidence = diagnosis?.evidence;
        if (isNumber(growth?.heap_bytes_per_hour))
            cell(
                growth.heap_bytes_per_hour < 0 ? 'Shrinks by' : 'Grows by',
                `${size(Math.abs(growth.heap_bytes_per_hour))}/h`,
                isNumber(growth.low) && isNumber(growth.high) ? `${size(growth.low)} to ${size(growth.high)}, 95 %` : ''
            );
        if (isNumber(growth?.seconds_to_limit)) {
            const limit = Math.max(0, ...own(memory).map((m) => m.heap_limit ?? 0));
            cell('Limit met in', duration(growth.seconds_to_limit * 1000), limit ? `at this pace; V8's limit is ${size(limit)}` : 'at this pace');
        }
        const route = list(suspects[0]?.routes)[0];
        if (isNumber(route?.bytes_per_request))
            cell('Kept by a request', size(route.bytes_per_request), `${text(route.method)} ${text(route.route)}`);
        if (evidence)
            cell(
                'Evidence',
                evidence.snapshots || !evidence.floors ? plural(evidence.snapshots ?? 0, 'snapshot') : plural(evidence.floors, 'reading'),
                `${evidence.floors ? `${evidence.snapshots ? `${plural(evidence.floors, 'reading')} ` : ''}after full collections; ` : ''}${supports[evidence.supports] ?? ''}`
            );
        if (isNumber(suspects[0]?.confidence)) cell('Confidence', share(suspects[0].confidence), 'that this is the suspect');
        return cells.length ? h('dl', { class: 'figures' }, cells) : null;
    }

    function path(steps) {
        const shown = steps.length > 14 ? [...steps.slice(0, 6), null, ...steps.slice(-7)] : steps;
        return h(
            'ol',
            { class: 'path' },
            shown.map((step) =>
                step
                    ? h('li', { title: `${text(step.type)} ${text(step.id)}` }, h('code', {}, text(step.edge) || '?'), step.class ? ` ${cut(text(step.class), 60)}` : '')
                    : h('li', {}, `… ${steps.length - 13} more`)
            )
        );
    }

    function suspectBox(suspect, first) {
        const facts = [];
        const fact = (title, ...content) => facts.push(h('dt', {}, title), h('dd', {}, content));
        const instances = suspect.instances ?? {};
        const bytes = suspect.bytes ?? {};
        const holder = suspect.holder ?? {};
        const f = suspect.function;
        const stands = suspect.grown === false; // of a single snapshot: large, not grown
        if (isNumber(instances.last) && (instances.last || instances.first))
            fact(
                'Objects',
                stands
                    ? count(instances.last)
                    : `${count(instances.first)}, then ${count(instances.last)} (${signed(count)(instances.growth)})`
            );
        if (isNumber(bytes.retained_growth))
            fact(
                'Retains',
                stands ? size(bytes.retained_growth) : signed(size)(bytes.retained_growth),
                isNumber(bytes.share_of_growth)
                    ? [' ', meter(bytes.share_of_growth), `${share(bytes.share_of_growth)} of the ${stands ? 'heap' : 'growth'}`]
                    : ''
            );
        if (f) fact('Function', h('code', {}, text(f.name ?? f.function) || '(anonymous)'), f.url ? [' at ', h('code', {}, place(f, true))] : '');
        const held = text(holder.text) || [text(holder.class), text(holder.name)].filter(Boolean).join(' ');
        if (held)
            fact('Held by', prose(held), holder.location?.url && !held.includes(`${holder.location.url}:${holder.location.line}`) ? [', from ', h('code', {}, place(holder.location, true))] : '');
        if (list(holder.path).length) fact('Path', path(holder.path));
        for (const [i, r] of list(suspect.routes).slice(0, 5).entries())
            fact(
                i ? '' : 'Routes',
                h('code', {}, `${text(r.method)} ${text(r.route)}`.trim()),
                ` keeps ${size(r.bytes_per_request)} a request`,
                isNumber(r.low) && isNumber(r.high) ? h('span', { class: 'soft' }, ` (${size(r.low)} to ${size(r.high)})`) : '',
                isNumber(r.instances_per_request) && r.instances_per_request >= 0.01
                    ? h('span', { class: 'soft' }, `, ${Number(r.instances_per_request.toFixed(2))} of these objects`)
                    : ''
            );
        for (const [i, site] of list(suspect.allocated_at).slice(0, first ? 4 : 2).entries())
            fact(
                i ? '' : 'Allocated at',
                h('code', {}, place(site, true) || '?'),
                site.function ? [' in ', h('code', {}, text(site.function))] : '',
                h('span', { class: 'soft' }, `, ${size(site.live_bytes)} live`)
            );
        return h(
            'article',
            { class: 'suspect' },
            h('h3', {}, h('code', {}, text(suspect.class) || 'Class unknown'), h('span', { class: 'soft' }, suspect.culprit ? text(suspect.culprit).replaceAll('-', ' ') : '')),
            h('dl', { class: 'facts' }, facts),
            suspect.advice && !stands ? h('p', { class: 'advice' }, prose(suspect.advice)) : null
        );
    }

    function meter(value) {
        const bar = h('i', {});
        bar.style.width = `${Math.max(0, Math.min(1, value)) * 100}%`;
        return h('span', { class: 'meter', role: 'presentation' }, bar);
    }

    // ---- plots ----

    let colors = {};
    function readColors() {
        const style = getComputedStyle(document.documentElement);
        for (const name of ['page', 'raised', 'line', 'text', 'soft', 'blue', 'orange', 'green', 'purple', 'amber', 'sky', 'grey', 'leak', 'fine'])
            colors[name] = style.getPropertyValue(`--${name}`).trim();
    }
    const faint = (color, alpha) => {
        const n = parseInt(color.slice(1), 16);
        return `rgba(${n >> 16}, ${(n >> 8) & 255}, ${n & 255}, ${alpha})`;
    };
    // Told apart by shape as well as by colour.
    const series = [
        ['blue', 'circle', []],
        ['orange', 'rect', []],
        ['green', 'triangle', []],
        ['purple', 'rectRot', []],
        ['amber', 'crossRot', [6, 3]],
        ['grey', 'star', [2, 3]],
    ];

    function timeStep(span, most) {
        const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];
        const step = steps.find((s) => span / (s * 1000) <= most) ?? 604800 * Math.ceil(span / (604800e3 * most));
        return step * 1000;
    }
    function timeAxis(range, labels = true) {
        let step = 1000;
        return {
            type: 'linear',
            bounds: 'data',
            min: range[0],
            max: range[1],
            grid: { color: colors.line, drawTicks: false, drawBorder: false },
            afterBuildTicks(axis) {
                step = timeStep(axis.max - axis.min, Math.max(2, Math.floor((axis.chart.width - 80) / 84)));
                axis.ticks = [];
                for (let at = Math.ceil(axis.min / step) * step; at <= axis.max; at += step) axis.ticks.push({ value: at });
            },
            ticks: {
                display: labels,
                color: colors.soft,
                maxRotation: 0,
                autoSkip: false,
                padding: 6,
                callback: (at) => (step >= 864e5 || at % 864e5 === 0 ? day(at) : clock(at, step < 60000)),
            },
        };
    }
    function niceStep(most, unit) {
        const rough = most / unit / 4;
        const power = 10 ** Math.floor(Math.log10(rough));
        return ([1, 2, 2.5, 5, 10].find((m) => m * power >= rough) ?? 10) * power * unit;
    }
    // A value axis from 0 whose ticks are round in the unit that is shown.
    function valueAxis(format, base = 1024, options = {}) {
        let step = 1;
        return {
            type: 'linear',
            bounds: 'data',
            grid: { color: colors.line, drawTicks: false, drawBorder: false },
            afterDataLimits(axis) {
                const most = Math.max(axis.max, 1e-9);
                step = niceStep(most, base ** Math.max(0, Math.floor(Math.log(most) / Math.log(base))));
                axis.min = Math.min(0, Math.floor(axis.min / step) * step);
                axis.max = Math.ceil((most * 1.02) / step) * step;
            },
            afterBuildTicks(axis) {
                axis.ticks = [];
                for (let i = Math.round(axis.min / step); i * step <= axis.max * 1.0001; i++) axis.ticks.push({ value: i * step });
            },
            afterFit(axis) {
                if (!options.free) axis.width = 66;
            },
            ticks: { color: colors.soft, padding: 6, autoSkip: true, autoSkipPadding: 6, callback: (v) => format(v) },
            ...options.more,
        };
    }
    const sizeTick = (v) => size(v).replace(/\.0 /, ' ');

    // Vertical lines where something happened.
    const marks = {
        id: 'marks',
        beforeDatasetsDraw(chart, _, options) {
            const { ctx, chartArea: area, scales } = chart;
            for (const mark of options.items ?? []) {
                const x = scales.x.getPixelForValue(mark.at);
                if (!(x >= area.left && x <= area.right)) continue;
                ctx.save();
                ctx.strokeStyle = colors[mark.color];
                ctx.globalAlpha = mark.faint ? 0.35 : 1;
                ctx.lineWidth = 1;
                ctx.setLineDash(mark.faint ? [] : [4, 3]);
                ctx.beginPath();
                ctx.moveTo(x, area.top);
                ctx.lineTo(x, area.bottom);
                ctx.stroke();
                if (mark.label) {
                    ctx.setLineDash([]);
                    ctx.fillStyle = colors[mark.color];
                    ctx.font = `12px ${Chart.defaults.font.family}`;
                    const right = x + 8 + ctx.measureText(mark.label).width > area.right;
                    ctx.textAlign = right ? 'right' : 'left';
                    ctx.fillText(mark.label, x + (right ? -5 : 5), area.top + 11);
                }
                ctx.restore();
            }
        },
    };

    function tooltips(title, label) {
        return {
            backgroundColor: colors.text,
            titleColor: colors.page,
            bodyColor: colors.page,
            footerColor: colors.page,
            padding: 10,
            cornerRadius: 6,
            usePointStyle: true,
            boxPadding: 4,
            callbacks: { title, label },
        };
    }
    const legend = (shown = true) => ({
        display: shown,
        position: 'bottom',
        align: 'start',
        labels: { color: colors.text, usePointStyle: true, boxHeight: 7, padding: 16 },
    });
    function timeTooltips(format) {
        return tooltips(
            (items) => (items[0] ? moment(items[0].parsed.x) : ''),
            (item) => ` ${item.dataset.label}: ${(item.dataset.format ?? format)(item.parsed.y)}${item.raw?.note ? `, ${item.raw.note}` : ''}`
        );
    }

    // Plots are made anew when colours change or another process is chosen.
    const plots = [];
    function canvas(className, make, title) {
        const element = h('canvas', { role: 'img' });
        const box = h('div', { class: `canvas ${className}` }, element);
        const whole = title ? h('div', {}, h('p', { class: 'panel' }, title), box) : box;
        plots.push({ element, make, whole, chart: null });
        return whole;
    }
    function draw(plot) {
        plot.chart?.destroy();
        plot.chart = null;
        const config = plot.make();
        plot.whole.hidden = !config;
        if (!config) return;
        plot.element.setAttribute('aria-label', config.words ?? '');
        plot.chart = new Chart(plot.element, {
            type: config.type ?? 'line',
            data: config.data,
            plugins: config.plugins ?? [],
            options: {
                responsive: true,
                maintainAspectRatio: false,
                animation: false,
                parsing: config.parsing ?? false,
                normalized: true,
                interaction: { mode: 'nearest', axis: 'x', intersect: false },
                layout: { padding: { right: 8, top: 4 } },
                elements: { line: { borderWidth: 1.8, tension: 0 }, point: { radius: 0, hitRadius: 6, hoverRadius: 4 } },
                ...config.options,
            },
        });
    }
    function drawAll() {
        readColors();
        Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
        Chart.defaults.font.size = 12.5;
        Chart.defaults.color = colors.soft;
        plots.forEach(draw);
    }

    // Points with a hole where readings are missing for long, or another process begins.
    function line(rows, value) {
        const gaps = rows.slice(1).map((row, i) => row.at - rows[i].at).sort((a, b) => a - b);
        const usual = gaps.length ? gaps[Math.floor(gaps.length / 2)] : 0;
        const points = [];
        let last = null;
        for (const row of rows) {
            const y = value(row, last);
            if (last && (row.target_id !== last.target_id || row.at - last.at > Math.max(8 * usual, 15000)))
                points.push({ x: (row.at + last.at) / 2, y: NaN });
            if (isNumber(y)) points.push({ x: row.at, y });
            last = row;
        }
        return points;
    }
    function span() {
        const times = [memory, floors, captures, classSeries, siteSeries].flatMap(own).map((row) => row.at).filter(isNumber);
        if (!times.length) return [run.started_at ?? 0, run.ended_at ?? run.updated_at ?? 1];
        const first = times.reduce((a, b) => Math.min(a, b));
        const last = times.reduce((a, b) => Math.max(a, b));
        return [first, Math.max(last, first + 1000)];
    }
    function restarts() {
        return (current?.targets ?? []).slice(1).map((t) => ({ at: t.attached_at, color: 'text', label: 'restart' }));
    }
    function captureMarks() {
        return own(captures)
            .filter((c) => c.state === 'complete')
            .map((c) => ({ at: c.at, color: 'grey', faint: true }));
    }

    function heapPlot() {
        const rows = own(memory);
        const range = span();
        if (!rows.length) return null;
        const style = (name) => ({ borderColor: colors[name], backgroundColor: colors[name] });
        const after = own(floors).filter((f) => f.label === 'after-gc');
        const snaps = own(captures).filter((c) => c.state === 'complete' && c.kind !== 'heapprofile');
        const near = (at) => rows.reduce((a, b) => (Math.abs(b.at - at) < Math.abs(a.at - at) ? b : a)).heap_used;
        return {
            words: 'Heap used over time',
            data: {
                datasets: [
                    {
                        label: 'Heap used',
                        data: line(rows, (r) => r.heap_used),
                        ...style('blue'),
                        backgroundColor: faint(colors.blue, 0.1),
                        fill: 'origin',
                        pointStyle: 'line',
                        borderWidth: 1.4,
                    },
                    {
                        label: 'After a full collection',
                        data: line(after, (r) => r.heap_used),
                        ...style('orange'),
                        pointStyle: 'circle',
                        radius: after.length > 150 ? 0 : 2.6,
                        borderWidth: 2,
                    },
                    {
                        label: 'Snapshot',
                        type: 'scatter',
                        data: snaps
                            .filter((c) => c.kind === 'heapsnapshot')
                            .map((c) => ({ x: c.at, y: c.heap_used ?? near(c.at), note: `no. ${c.snapshot_id}, stall ${duration(c.pause_ms)}` })),
                        ...style('text'),
                        pointStyle: 'triangle',
                        radius: 5,
                    },
                    {
                        label: 'Timeline',
                        type: 'scatter',
                        data: snaps
                            .filter((c) => c.kind === 'heaptimeline')
                            .map((c) => ({ x: c.at, y: c.heap_used ?? near(c.at), note: `no. ${c.snapshot_id}, stall ${duration(c.pause_ms)}` })),
                        ...style('purple'),
                        pointStyle: 'rectRot',
                        radius: 5,
                    },
                ].filter((d) => d.data.length),
            },
            plugins: [marks],
            options: {
                scales: { x: timeAxis(range), y: valueAxis(sizeTick) },
                plugins: { legend: legend(), tooltip: timeTooltips(size), marks: { items: [...captureMarks(), ...restarts()] } },
            },
        };
    }

    function processPlot() {
        const rows = own(memory);
        if (!rows.length) return null;
        const set = (label, key, color, dash) => ({
            label,
            data: line(rows, (r) => r[key]),
            borderColor: colors[color],
            backgroundColor: colors[color],
            borderDash: dash,
            pointStyle: 'line',
        });
        return {
            words: 'Resident and external memory over time',
            data: {
                datasets: [
                    set('Resident memory', 'rss', 'grey', []),
                    set('External', 'external', 'green', [7, 3]),
                    set('of it array buffers', 'array_buffers', 'purple', [2, 3]),
                ].filter((d) => d.data.length),
            },
            plugins: [marks],
            options: {
                scales: { x: timeAxis(span()), y: valueAxis(sizeTick) },
                plugins: { legend: legend(), tooltip: timeTooltips(size), marks: { items: restarts() } },
            },
        };
    }

    function collectionPlot() {
        const rows = own(memory);
        const points = line(rows, (r, last) =>
            last && last.target_id === r.target_id && isNumber(r.gc_ms) && isNumber(last.gc_ms) && r.at > last.at
                ? Math.max(0, Math.min(1, (r.gc_ms - last.gc_ms) / (r.at - last.at)))
                : null
        );
        if (points.filter((p) => isNumber(p.y)).length < 2) return null;
        return {
            words: 'Share of time in garbage collection',
            data: {
                datasets: [
                    {
                        label: 'Time in garbage collection',
                        data: points,
                        borderColor: colors.amber,
                        backgroundColor: faint(colors.amber, 0.25),
                        fill: 'origin',
                        borderWidth: 1,
                        pointStyle: 'line',
                    },
                ],
            },
            plugins: [marks],
            options: {
                scales: { x: timeAxis(span()), y: valueAxis((v) => share(v).replace('.0 ', ' '), 1e9) },
                plugins: { legend: legend(false), tooltip: timeTooltips(share), marks: { items: restarts() } },
            },
        };
    }

    // Rows say a figure when it has changed: it stands until the next one, from nothing before.
    function standing(rows, times, value) {
        const points = [];
        let last = 0;
        let i = 0;
        for (const at of times) {
            while (i < rows.length && rows[i].at <= at) last = value(rows[i++]);
            points.push({ x: at, y: last, target_id: rows[0].target_id });
        }
        return points;
    }
    function grouped(rows, key) {
        const groups = new Map();
        for (const row of rows) {
            const name = key(row);
            if (!groups.has(name)) groups.set(name, []);
            groups.get(name).push(row);
        }
        return groups;
    }
    // [{name, growth, points}] over all processes of the chosen one.
    function standingSeries(rows, key, value) {
        const named = new Map();
        for (const of of grouped(rows, (row) => row.target_id).values()) {
            const times = [...new Set(of.map((row) => row.at))].sort((a, b) => a - b);
            for (const [name, group] of grouped(of, key)) {
                const points = standing(group, times, value);
                const one = named.get(name) ?? { name, growth: 0, points: [] };
                if (one.points.length) one.points.push({ x: (one.points[one.points.length - 1].x + points[0].x) / 2, y: NaN });
                one.growth += points[points.length - 1].y - points[0].y;
                one.points.push(...points);
                named.set(name, one);
            }
        }
        return [...named.values()];
    }
    function seriesPlot(all, words, format, tick, base) {
        if (!all.some((s) => s.points.length > 1)) return null;
        return {
            words,
            data: {
                datasets: all.slice(0, series.length).map((s, i) => {
                    const [color, pointStyle, borderDash] = series[i];
                    return {
                        label: cut(s.name, 46),
                        data: s.points,
                        borderColor: colors[color],
                        backgroundColor: colors[color],
                        pointStyle,
                        borderDash,
                        radius: s.points.length > 60 ? 0 : 3.2,
                    };
                }),
            },
            plugins: [marks],
            options: {
                scales: { x: timeAxis(span()), y: valueAxis(tick, base) },
                plugins: { legend: legend(), tooltip: timeTooltips(format), marks: { items: restarts() } },
            },
        };
    }

    let classFigure = 'retained_size';
    function classPlot() {
        const rows = own(classSeries);
        const named = suspects.map((s) => text(s.class));
        const all = standingSeries(rows, (row) => text(row.class), (row) => row[classFigure] ?? 0);
        const rank = (s) => (named.indexOf(s.name) === 0 ? 0 : 1);
        all.sort((a, b) => rank(a) - rank(b) || b.growth - a.growth);
        const sizes = classFigure === 'retained_size';
        return seriesPlot(all.filter((s) => s.growth > 0), 'Growth by class', sizes ? size : count, sizes ? sizeTick : count, sizes ? 1024 : 1e9);
    }
    function sitePlot() {
        const rows = own(siteSeries);
        const all = standingSeries(
            rows,
            (row) => `${text(row.function) || '(anonymous)'}${row.url ? ` (${place(row)})` : ''}`,
            (row) => row.live_bytes ?? 0
        );
        all.sort((a, b) => b.growth - a.growth);
        return seriesPlot(all, 'Live bytes by allocating line', size, sizeTick, 1024);
    }

    const whiskers = {
        id: 'whiskers',
        afterDatasetsDraw(chart, _, options) {
            const { ctx, scales } = chart;
            (options.rows ?? []).forEach((row, i) => {
                const y = scales.y.getPixelForValue(i);
                const [low, at, high] = [row.low, row.bytes_per_request, row.high].map((v) => scales.x.getPixelForValue(v));
                ctx.save();
                ctx.strokeStyle = ctx.fillStyle = colors[row.color];
                ctx.lineWidth = 2;
                ctx.beginPath();
                ctx.moveTo(low, y);
                ctx.lineTo(high, y);
                for (const x of [low, high]) {
                    ctx.moveTo(x, y - 5);
                    ctx.lineTo(x, y + 5);
                }
                ctx.stroke();
                ctx.beginPath();
                ctx.arc(at, y, 5, 0, 2 * Math.PI);
                if (row.hollow) {
                    ctx.fillStyle = colors.page;
                    ctx.fill();
                    ctx.stroke();
                } else ctx.fill();
                ctx.restore();
            });
        },
    };
    const keptRoutes = list(doc.requests)
        .filter((r) => isNumber(r.bytes_per_request) && isNumber(r.low) && isNumber(r.high))
        .sort((a, b) => b.bytes_per_request - a.bytes_per_request)
        .slice(0, 12)
        .map((r) => ({
            ...r,
            name: `${text(r.request_method)} ${text(r.route)}`.trim(),
            color: text(r.leaks).startsWith('leaks') ? 'orange' : 'grey',
            hollow: r.leaks === 'cannot be told apart' || r.leaks === 'leaks, or its like',
        }));
    function routePlot() {
        const rows = keptRoutes;
        if (!rows.length) return null;
        const narrow = window.innerWidth < 560;
        return {
            type: 'bar',
            words: 'Bytes kept by a request of each route',
            data: {
                labels: rows.map((r) => cut(r.name, narrow ? 18 : 40)),
                datasets: [{ data: rows.map((r) => Math.max(r.high, r.bytes_per_request)), backgroundColor: 'transparent', hoverBackgroundColor: 'transparent' }],
            },
            plugins: [whiskers],
            parsing: true,
            options: {
                indexAxis: 'y',
                interaction: { mode: 'index', axis: 'y', intersect: false },
                scales: {
                    x: { ...valueAxis(sizeTick, 1024, { free: true }), title: { display: true, text: 'kept by one request', color: colors.soft } },
                    y: { grid: { display: false, drawBorder: false }, ticks: { color: colors.text } },
                },
                plugins: {
                    legend: legend(false),
                    whiskers: { rows },
                    tooltip: tooltips(
                        (items) => (items[0] ? rows[items[0].dataIndex].name : ''),
                        (item) => {
                            const r = rows[item.dataIndex];
                            return [
                                ` ${size(r.bytes_per_request)} (${size(r.low)} to ${size(r.high)}, 99 %)`,
                                ` ${plural(r.requests ?? 0, 'request')}, ${r.leaks === 'no' ? 'does not leak' : text(r.leaks)}`,
                            ];
                        }
                    ),
                },
            },
        };
    }

    const intervals = grouped(answer(doc.intervals), (row) => row.snapshot_id);
    let timeline = null;
    const timelines = () => [...intervals.values()].filter((rows) => !current || current.ids.has(rows[0].target_id));
    function timelinePlot() {
        const all = timelines();
        const rows = all.find((r) => r[0].snapshot_id === timeline) ?? all[all.length - 1];
        if (!rows) return null;
        const last = rows[rows.length - 1].start_ms;
        const bins = Math.max(10, Math.min(window.innerWidth < 560 ? 60 : 150, rows.length));
        const width = Math.max(last / bins, 1);
        const bars = Array.from({ length: bins }, () => ({ bytes: 0, objects: 0 }));
        for (const row of rows) {
            const bar = bars[Math.max(0, Math.min(bins - 1, Math.floor(row.start_ms / width)))];
            bar.bytes += row.live_bytes ?? 0;
            bar.objects += row.live_count ?? 0;
        }
        return {
            type: 'bar',
            words: 'Live bytes by the time of their allocation',
            data: {
                labels: bars.map((_, i) => `${((i * width) / 1000).toFixed(width < 1000 ? 1 : 0)} s`),
                datasets: [{ label: 'Still live at the end', data: bars.map((b) => b.bytes), backgroundColor: colors.blue, barPercentage: 0.92, categoryPercentage: 1 }],
            },
            parsing: true,
            options: {
                interaction: { mode: 'index', intersect: false },
                scales: {
                    x: { grid: { display: false, drawBorder: false }, ticks: { color: colors.soft, maxRotation: 0, autoSkipPadding: 40 }, title: { display: true, text: 'since the timeline began', color: colors.soft } },
                    y: valueAxis(sizeTick),
                },
                plugins: {
                    legend: legend(false),
                    tooltip: tooltips(
                        (items) => (items[0] ? `allocated at ${items[0].label}` : ''),
                        (item) => ` ${size(item.parsed.y)} in ${plural(bars[item.dataIndex].objects, 'object')} still live`
                    ),
                },
            },
        };
    }

    function capturePlot() {
        const rows = own(captures).filter((c) => isNumber(c.pause_ms) || isNumber(c.forecast_pause_ms));
        if (!rows.length) return null;
        const kindsShown = [...new Set(rows.map((c) => c.kind))];
        const palette = { heapsnapshot: ['Snapshot', 'blue'], heaptimeline: ['Timeline', 'purple'], heapprofile: ['Profile', 'green'] };
        return {
            type: 'bar',
            words: 'Stall of each capture, measured and forecast',
            data: {
                labels: rows.map((c) => `#${c.snapshot_id}`),
                datasets: [
                    ...kindsShown.map((kind) => ({
                        label: palette[kind]?.[0] ?? text(kind),
                        data: rows.map((c) => (c.kind === kind ? c.pause_ms : null)),
                        backgroundColor: colors[palette[kind]?.[1] ?? 'grey'],
                        pointStyle: 'rect',
                        stack: 'stall',
                        maxBarThickness: 44,
                        categoryPercentage: 0.75,
                        barPercentage: 1,
                        order: 2,
                    })),
                    {
                        label: 'Forecast by the guard',
                        type: 'line',
                        data: rows.map((c) => c.forecast_pause_ms),
                        showLine: false,
                        borderColor: colors.text,
                        backgroundColor: colors.page,
                        borderWidth: 1.6,
                        pointStyle: 'circle',
                        radius: rows.length > 120 ? 1.5 : 4,
                        order: 1,
                    },
                ],
            },
            parsing: true,
            options: {
                interaction: { mode: 'index', intersect: false },
                scales: {
                    x: { stacked: true, grid: { display: false, drawBorder: false }, ticks: { color: colors.soft, maxRotation: 0, autoSkipPadding: 14 } },
                    y: valueAxis((v) => (v === 0 ? '0' : duration(v).replace('.0 ', ' ')), 1e9),
                },
                plugins: {
                    legend: legend(),
                    tooltip: {
                        ...tooltips(
                            (items) => {
                                const c = rows[items[0]?.dataIndex];
                                return c ? `${palette[c.kind]?.[0] ?? text(c.kind)} no. ${c.snapshot_id}, ${moment(c.at)}` : '';
                            },
                            (item) => ` ${item.dataset.type === 'line' ? 'forecast' : 'stall'} ${duration(item.parsed.y)}`
                        ),
                        filter: (item) => isNumber(item.parsed.y),
                    },
                },
            },
        };
    }

    function figure(title, caption, controls, ...content) {
        return h('figure', {}, h('header', {}, h('h3', {}, title), controls), h('figcaption', {}, caption), content);
    }
    function choice(entries, chosen, choose) {
        const buttons = entries.map(([value, title]) =>
            h(
                'button',
                {
                    type: 'button',
                    'aria-pressed': String(value === chosen),
                    onclick: (event) => {
                        buttons.forEach((b) => b.setAttribute('aria-pressed', String(b === event.target)));
                        choose(value);
                    },
                },
                title
            )
        );
        return h('div', { class: 'choice' }, buttons);
    }

    function costWords() {
        const of = totals.filter((t) => !current || current.ids.has(t.target_id));
        const sum = (filter, key) => of.filter(filter).reduce((all, t) => all + (t[key] ?? 0), 0);
        const done = sum((t) => t.state === 'complete' || t.state === 'deleted', 'captures');
        const refused = sum((t) => t.state === 'refused', 'captures');
        const failed = sum((t) => t.state === 'failed', 'captures');
        const stalled = sum(() => true, 'pause_ms');
        const most = of.reduce((a, t) => Math.max(a, t.max_pause_ms ?? 0), 0);
        const [from, to] = span();
        return [
            `${plural(done, 'capture')} stalled the process for ${duration(stalled)} in all, ${share(stalled / Math.max(1, to - from))} of the time that is shown; the longest took ${duration(most)}.`,
            refused ? ` The guard refused ${count(refused)}.` : '',
            failed ? ` ${count(failed)} failed.` : '',
        ].join('');
    }

    function plotSection() {
        const parts = [];
        const seen = own(memory).length > 0;
        const classes = classSeries.length > 0;
        const nothing = (title, why) => parts.push(h('figure', {}, h('header', {}, h('h3', {}, title)), h('p', { class: 'nothing' }, why)));
        if (seen)
            parts.push(
                figure(
                    'Memory over time',
                    'A heap that leaks rises after full collections, too: follow the orange line. Vertical lines are captures; a dashed one is a restart. Times are UTC.',
                    null,
                    canvas('', heapPlot),
                    canvas('low', processPlot, 'The whole process'),
                    canvas('strip', collectionPlot, 'Time in garbage collection')
                )
            );
        else nothing('Memory over time', 'There are no readings in the record.');
        if (classes)
            parts.push(
                figure(
                    'Growth by class',
                    'From the snapshots. What an object retains includes what it holds, so these lines overlap and are not to be added up.',
                    choice([['retained_size', 'Retained'], ['count', 'Objects']], classFigure, (value) => {
                        classFigure = value;
                        draw(plots.find((p) => p.make === classPlot));
                    }),
                    canvas('', classPlot)
                )
            );
        else nothing('Growth by class', 'No snapshot was analysed in this run. heaptap run takes them on a schedule unless --no-snapshots is given.');
        if (keptRoutes.length) {
            const box = canvas('', routePlot);
            box.style.height = `${70 + 34 * keptRoutes.length}px`;
            const together = keptRoutes.some((r) => r.hollow);
            parts.push(
                figure(
                    'Bytes kept by a request',
                    `By route, with 99 % intervals, from the heap after full collections.${together ? ' Hollow: these routes came in one proportion all the time, so each shows the mean of all.' : ''}`,
                    null,
                    box
                )
            );
        } else if (list(doc.requests).length)
            nothing('Bytes kept by a request', 'There were too few full collections to tell the routes apart: heaptap run --requests --gc-floor 30s forces them.');
        if (siteSeries.length)
            parts.push(
                figure(
                    'Live bytes by allocating line',
                    'From V8’s sampling profiler, which knows only objects that are still alive: the lines whose bytes keep growing are those to read.',
                    null,
                    canvas('', sitePlot)
                )
            );
        if (intervals.size) {
            const picker = h('select', {
                'aria-label': 'timeline',
                onchange: (event) => {
                    timeline = Number(event.target.value);
                    draw(plots.find((p) => p.make === timelinePlot));
                },
            });
            const fill = () => {
                picker.replaceChildren(
                    ...timelines().map((rows) => h('option', { value: rows[0].snapshot_id }, `no. ${rows[0].snapshot_id}, ${moment(rows[0].at)}`))
                );
                picker.selectedIndex = picker.options.length - 1;
                picker.hidden = picker.options.length < 2;
            };
            fill();
            onChoice.push(() => {
                timeline = null;
                fill();
            });
            parts.push(
                figure(
                    'Allocation timeline',
                    'What was allocated at that moment and still lived when the recording ended. Blue that does not go away is a leak’s.',
                    picker,
                    canvas('low', timelinePlot)
                )
            );
        }
        if (captures.length) {
            const words = h('figcaption', {}, costWords());
            onChoice.push(() => words.replaceChildren(costWords()));
            parts.push(h('figure', {}, h('header', {}, h('h3', {}, 'What the captures cost')), words, canvas('low', capturePlot)));
        }
        const onePicker =
            processes.length > 1
                ? h(
                      'p',
                      { class: 'picker' },
                      h('label', { for: 'process' }, 'Process'),
                      h(
                          'select',
                          {
                              id: 'process',
                              onchange: (event) => {
                                  current = processes[Number(event.target.value)];
                                  onChoice.forEach((f) => f());
                                  plots.forEach(draw);
                              },
                          },
                          processes.map((p, i) => h('option', { value: i, selected: p === current }, p.label))
                      )
                  )
                : null;
        return [h('h2', {}, 'Plots'), onePicker, parts];
    }
    const onChoice = [];

    // ---- tables ----

    const forms = {
        name: { class: 'name', make: (v) => h('code', {}, text(v)) },
        word: { class: 'word', make: text },
        file: { class: 'word', make: (v) => h('code', {}, text(v)) },
        text: { class: 'text', make: text },
        count: { class: 'number', make: count },
        delta: { class: 'number', make: signed(count) },
        size: { class: 'number', make: size },
        sizeDelta: { class: 'number', make: signed(size) },
        ms: { class: 'number', make: duration },
        mb: { class: 'number', make: (v) => (isNumber(v) ? size(v * 1048576) : '–') },
        at: { class: 'word', make: moment },
        id: { class: 'word', make: text },
    };
    const SHOWN = 10;

    // columns: [key, title, form]; sorted: the column by which the rows come, "-" in front: down.
    function table(title, note, rows, columns, sorted, total) {
        const used = columns.filter(([key]) => rows.some((row) => row[key] !== null && row[key] !== undefined && row[key] !== ''));
        if (!rows.length || !used.length) return null;
        let all = false;
        let shown = rows.slice();
        const body = h('tbody', {});
        const more = h('button', { type: 'button', class: 'all', onclick: () => ((all = true), fill()) });
        const heads = used.map(([key, name, form]) =>
            h('th', { scope: 'col', class: forms[form].class === 'number' ? 'number' : null }, h('button', { type: 'button', onclick: () => sort(key, form) }, name))
        );
        function fill() {
            body.replaceChildren(
                ...(all ? shown : shown.slice(0, SHOWN)).map((row) =>
                    h('tr', {}, used.map(([key, , form]) => h('td', { class: forms[form].class }, row[key] === null || row[key] === undefined ? '–' : forms[form].make(row[key]))))
                )
            );
            more.hidden = all || shown.length <= SHOWN;
            more.textContent = `Show all ${count(shown.length)}`;
        }
        function mark(key, down) {
            heads.forEach((head, i) => {
                if (used[i][0] === key) head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
                else head.removeAttribute('aria-sort');
            });
        }
        function sort(key, form) {
            const head = heads[used.findIndex(([k]) => k === key)];
            const was = head.getAttribute('aria-sort');
            const down = was ? was === 'ascending' : forms[form].class === 'number';
            shown = rows.slice().sort((a, b) => {
                const [x, y] = [a[key], b[key]];
                if (x == null || y == null) return (x == null) - (y == null);
                const order = isNumber(x) && isNumber(y) ? x - y : text(x).localeCompare(text(y), 'en');
                return down ? -order : order;
            });
            mark(key, down);
            fill();
        }
        fill();
        if (sorted) mark(sorted.replace('-', ''), sorted.startsWith('-'));
        return h(
            'section',
            { class: 'table' },
            h('h3', {}, title),
            note || total > rows.length ? h('p', { class: 'soft small' }, [note, total > rows.length ? `${count(rows.length)} of ${count(total)}.` : ''].filter(Boolean).join(' ')) : null,
            h('div', { class: 'scroll' }, h('table', {}, h('thead', {}, h('tr', {}, heads)), body)),
            more
        );
    }

    function tableSection() {
        const several = targets.length > 1;
        const target = several ? [['target_id', 'target', 'id']] : [];
        const sites = list(doc.sites).map((s) => ({ ...s, where: place(s, true) }));
        const requests = list(doc.requests).map((r) => ({ ...r, name: `${text(r.request_method)} ${text(r.route)}`.trim() }));
        const folders = new Set(captures.map((c) => text(c.file).replace(/[^/]*$/, '')).filter(Boolean));
        return [
            h('h2', {}, 'Tables'),
            table(
                'Classes that grew',
                'From the first to the last analysed snapshot.',
                list(doc.classes),
                [['class', 'class', 'name'], ...target, ['first_count', 'first', 'count'], ['last_count', 'last', 'count'], ['count_growth', 'growth', 'delta'], ['last_retained', 'retained', 'size'], ['retained_growth', 'retained growth', 'sizeDelta'], ['self_growth', 'own growth', 'sizeDelta']],
                '-retained_growth'
            ),
            table(
                'Requests by route',
                'Kept: from the heap after full collections. The difference of one request’s heap is mostly garbage that a collection takes back.',
                requests,
                [['name', 'route', 'name'], ['requests', 'requests', 'count'], ['bytes_per_request', 'kept a request', 'size'], ['low', 'at least', 'size'], ['high', 'at most', 'size'], ['leaks', 'leaks', 'word'], ['avg_heap_delta', 'mean difference', 'mb'], ['avg_duration_ms', 'mean time', 'ms']]
            ),
            table(
                'Allocating lines',
                null,
                sites,
                [['function', 'function', 'name'], ['where', 'line', 'name'], ...target, ['source', 'source', 'word'], ['first_bytes', 'first', 'size'], ['last_bytes', 'last', 'size'], ['growth_bytes', 'growth', 'sizeDelta'], ['bytes_per_hour', 'an hour', 'sizeDelta'], ['readings', 'readings', 'count']],
                '-bytes_per_hour'
            ),
            table(
                'Captures',
                folders.size === 1 ? `The files are in ${[...folders][0]}.` : null,
                captures.map((c) => ({ ...c, name: folders.size === 1 ? basename(c.file) : c.file })),
                [['snapshot_id', 'no.', 'id'], ['at', 'at', 'at'], ...target, ['kind', 'kind', 'word'], ['trigger', 'why', 'word'], ['state', 'state', 'word'], ['pause_ms', 'stall', 'ms'], ['forecast_pause_ms', 'forecast', 'ms'], ['bytes', 'file', 'size'], ['node_count', 'objects', 'count'], ['extra_memory', 'extra memory', 'size'], ['reason', 'reason', 'text'], ['name', 'name', 'file']],
                'snapshot_id',
                captures[0]?.total
            ),
            table('Events', null, events, [['at', 'at', 'at'], ...target, ['kind', 'kind', 'word'], ['text', 'what', 'text']], 'at', events[0]?.total),
            table(
                'Processes',
                null,
                targets,
                [['target_id', 'no.', 'id'], ['title', 'title', 'name'], ['kind', 'kind', 'word'], ['pid', 'pid', 'word'], ['runtime_version', 'version', 'word'], ['address', 'address', 'word'], ['attached_at', 'attached', 'at'], ['gone_at', 'until', 'at'], ['state', 'state', 'word'], ['reason', 'reason', 'text']],
                'target_id',
                targets[0]?.total
            ),
        ];
    }

    // ---- what it rests on ----

    function evidenceSection() {
        const notes = list(diagnosis?.notes).map(text);
        const evidence = diagnosis?.evidence;
        if (evidence && isNumber(evidence.span_seconds))
            notes.unshift(
                `${plural(evidence.snapshots ?? 0, 'snapshot')}${evidence.floors ? ` and ${plural(evidence.floors, 'reading')} after full collections` : ''} over ${duration(evidence.span_seconds * 1000)}: that ${supports[evidence.supports] ?? 'shows nothing yet'}.`
            );
        if (doc.requests_note) notes.push(text(doc.requests_note));
        if (run.lost_rows > 0) notes.push(`${count(run.lost_rows)} rows of the record were lost: the disk or the outbox was full.`);
        if (run.rows_parked > 0) notes.push(`${count(run.rows_parked)} rows were refused by PostgreSQL and stand in SQLite alone.`);
        if (run.state === 'running') notes.push('The run was still going on when this was made.');
        if (run.state === 'interrupted') notes.push('The run was interrupted: its heaptap ended without closing it.');
        if (targets[0]?.total > targets.length) notes.push(`Shown are the newest ${targets.length} of ${count(targets[0].total)} processes.`);
        const ruled = list(diagnosis?.ruled_out).map((c) => text(c).replaceAll('-', ' '));
        return [
            h('h2', {}, 'Evidence and its limits'),
            h('ul', { class: 'notes' }, notes.map((note) => h('li', {}, prose(note)))),
            ruled.length ? h('p', { class: 'notes soft' }, `Looked for and not found: ${ruled.join(', ')}.`) : null,
        ];
    }

    function runSection() {
        const facts = [];
        const fact = (title, value) => value && facts.push(h('dt', {}, title), h('dd', {}, value));
        const began = run.started_at;
        const ended = run.ended_at;
        fact('Run', h('code', {}, text(run.run_id)));
        fact('Label', text(run.label));
        fact('Command', run.command_line ? h('code', {}, `heaptap ${text(run.command_line)}`) : '');
        fact('Host', text(run.host));
        fact('Began', isNumber(began) ? `${day(began, true)}, ${clock(began)} UTC` : '');
        fact('Ended', isNumber(ended) ? `${day(ended, true)}, ${clock(ended)} UTC, after ${duration(ended - began)}${run.exit_reason ? ` (${run.exit_reason})` : ''}` : text(run.state));
        let detail = null;
        try {
            detail = JSON.parse(run.detail);
        } catch {
            detail = null; // of an older heaptap, or of another hand
        }
        const chips = (pairs) =>
            h('ul', { class: 'chips' }, pairs.map(([key, value]) => h('li', {}, h('code', {}, `${key} = ${text(value)}`))));
        const given = new Set(list(detail?.given));
        const settings = Object.entries(detail?.settings ?? {});
        const own = settings.filter(([key]) => given.has(key));
        const defaults = settings.filter(([key]) => !given.has(key));
        fact('Settings', own.length ? chips(own) : settings.length ? 'all by default' : '');
        fact('Defaults', defaults.length ? h('details', {}, h('summary', {}, `${defaults.length} settings in force`), chips(defaults)) : '');
        return [h('h2', {}, 'The run'), h('dl', { class: 'facts' }, facts)];
    }

    function footer() {
        return h(
            'footer',
            {},
            `Made by heaptap ${text(doc.version)} at ${text(doc.made_at).replace('T', ' ').slice(0, 19)} UTC. 1 MB is 1,048,576 bytes; all times are UTC. Plots by Chart.js ${Chart.version} (MIT licence, © Chart.js Contributors), which is in this page; it loads nothing.`
        );
    }

    // ---- together ----

    root.append(
        ...[
            brand(),
            verdictBox(),
            keyFigures(),
            suspects[0] ? suspectBox(suspects[0], true) : null,
            suspects.length > 1
                ? h('details', { class: 'more' }, h('summary', {}, plural(suspects.length - 1, 'other suspect')), suspects.slice(1).map((s) => suspectBox(s, false)))
                : null,
            plotSection(),
            tableSection(),
            evidenceSection(),
            runSection(),
            footer(),
        ]
            .flat(Infinity)
            .filter(Boolean)
    );
    drawAll();
    window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
    // Paper is white, also of a reader who reads in the dark.
    function paper(on) {
        document.documentElement.classList.toggle('paper', on);
        drawAll();
    }
    window.addEventListener('beforeprint', () => paper(true));
    window.addEventListener('afterprint', () => paper(false));
})();
