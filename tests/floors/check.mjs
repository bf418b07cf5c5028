// Guards the house: rooms include and link only lower floors, a third-party header stays in its one
// module, headers stand alone, files begin with their job and keep a sane length.
// usage: node check.mjs [--headers] [--include DIR]... ROOT; prints "file:line: what" a violation.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

export const floors = {
    base: 0,
    heap: 1,
    cdp: 1,
    store: 1,
    collect: 2,
    diagnose: 2,
    show: 2,
    command: 3,
};

// Where a third-party header may be included: a room, and in how many files of it at most.
const thirdParty = [
    { match: /^libwebsockets\.h$/, room: 'cdp', files: 1 },
    { match: /^wslay\//, room: 'cdp', files: 1 },
    { match: /^curl\//, room: 'collect', files: 1 },
    { match: /^editline\/|^histedit\.h$/, room: 'command', files: 1 },
    { match: /^(postgresql\/)?libpq-fe\.h$/, room: 'store', files: 1 },
    { match: /^sqlite3\.h$/, room: 'store' }, // the journal and the questions asked of it
    { match: /^(cjson\/)?cJSON\.h$/ },
    { match: /^zstd(_errors)?\.h$|^zlib\.h$/ }, // reading (heap) and writing (collect) are two jobs
    { match: /^openssl\/(evp|sha|err|rand|ssl)\.h$/ },
];

const system = new RegExp(
    '^(' +
        [
            'assert',
            'complex',
            'ctype',
            'errno',
            'fenv',
            'float',
            'inttypes',
            'iso646',
            'limits',
            'locale',
            'math',
            'setjmp',
            'signal',
            'stdalign',
            'stdarg',
            'stdatomic',
            'stdbool',
            'stddef',
            'stdint',
            'stdio',
            'stdlib',
            'stdnoreturn',
            'string',
            'tgmath',
            'threads',
            'time',
            'wchar',
            'wctype',
            'dirent',
            'dlfcn',
            'fcntl',
            'fnmatch',
            'getopt',
            'glob',
            'ifaddrs',
            'langinfo',
            'libgen',
            'malloc',
            'netdb',
            'poll',
            'pthread',
            'pwd',
            'regex',
            'sched',
            'semaphore',
            'spawn',
            'strings',
            'termios',
            'ucontext',
            'unistd',
            'utime',
            'wordexp',
            'execinfo',
            'pty',
            'cpuid',
            'immintrin',
            'x86intrin',
            'arm_neon',
            'endian',
            'byteswap',
            'sysexits',
            '(sys|arpa|net|netinet|linux|asm)/[a-z0-9_-]+',
            'sanitizer/[a-z_]+',
        ].join('|') +
        ')\\.h$'
);

const maxFileLines = 800; // a file with one idea is shorter; beyond this it does two jobs
const maxFunctionLines = 100; // two screens

function walk(dir, found = []) {
    if (!fs.existsSync(dir)) return found;
    for (const entry of fs.readdirSync(dir, { withFileTypes: true })) {
        const name = path.join(dir, entry.name);
        if (entry.isDirectory()) walk(name, found);
        else if (/\.[ch]$/.test(entry.name)) found.push(name);
    }
    return found.sort();
}

function checkInclude(at, file, room, line, uses, bad) {
    const quoted = /^\s*#\s*include\s*"([^"]+)"/.exec(line);
    if (quoted) {
        const other = quoted[1].split('/')[0];
        if (!quoted[1].includes('/'))
            bad(at, `includes "${quoted[1]}" without its room: write "room/${quoted[1]}"`);
        else if (!(other in floors)) bad(at, `includes "${quoted[1]}": no such room`);
        else if (other !== room && floors[other] === floors[room])
            bad(at, `${room} includes sideways from ${other}: both are on floor ${floors[room]}`);
        else if (other !== room && floors[other] > floors[room])
            bad(at, `${room} (floor ${floors[room]}) includes upward from ${other}`);
        return;
    }
    const angled = /^\s*#\s*include\s*<([^>]+)>/.exec(line);
    if (!angled || system.test(angled[1])) return;
    const rule = thirdParty.find((entry) => entry.match.test(angled[1]));
    if (!rule) {
        bad(
            at,
            `includes <${angled[1]}>, which tests/floors/check.mjs does not know: name its module`
        );
        return;
    }
    if (rule.room && rule.room !== room)
        bad(at, `includes <${angled[1]}>, which belongs to ${rule.room} alone`);
    else if (rule.files) {
        if (!uses.has(rule)) uses.set(rule, []);
        if (!uses.get(rule).some((use) => use.file === file))
            uses.get(rule).push({ file, at, header: angled[1] });
    }
}

function checkShape(name, lines, bad) {
    if (!lines[0]?.startsWith('/*') && !lines[0]?.startsWith('//'))
        bad(`${name}:1`, 'does not begin with a sentence that says its job');
    if (lines.length > maxFileLines)
        bad(`${name}:${lines.length}`, `has ${lines.length} lines, over ${maxFileLines}: split it`);
    let open = 0;
    lines.forEach((line, i) => {
        if (/^typedef\s+(struct|union)\b/.test(line))
            bad(`${name}:${i + 1}`, 'hides a struct behind a typedef: write struct name');
        if (line === '{') open = i + 1;
        if (line === '}' && open) {
            if (i + 1 - open > maxFunctionLines)
                bad(
                    `${name}:${open}`,
                    `a function of ${i + 1 - open} lines, over ${maxFunctionLines}`
                );
            open = 0;
        }
    });
}

// The link lists: heaptap_room(NAME LINK...) in CMakeLists.txt.
function checkLinks(root, bad) {
    const file = path.join(root, 'CMakeLists.txt');
    const text = fs.readFileSync(file, 'utf8');
    for (const call of text.matchAll(/^heaptap_room\(([^)]*)\)/gm)) {
        const at = `CMakeLists.txt:${text.slice(0, call.index).split('\n').length}`;
        const [room, ...links] = call[1].split(/\s+/).filter(Boolean);
        if (!(room in floors)) {
            bad(at, `room ${room} has no floor in tests/floors/check.mjs`);
            continue;
        }
        for (const link of links)
            if (link in floors && floors[link] >= floors[room])
                bad(at, `${room} (floor ${floors[room]}) links ${link} (floor ${floors[link]})`);
    }
}

function checkHeaders(root, headers, includes, bad) {
    const flags = [
        '-std=gnu11',
        '-D_GNU_SOURCE',
        '-fsyntax-only',
        '-Wall',
        '-Wextra',
        '-Werror',
        `-I${path.join(root, 'src')}`,
        ...includes.map((dir) => `-I${dir}`),
    ];
    for (const header of headers) {
        const name = path.relative(path.join(root, 'src'), header);
        try {
            execFileSync(process.env.CC || 'cc', [...flags, '-x', 'c', '-'], {
                input: `#include "${name}"\n#include "${name}"\n`,
                stdio: ['pipe', 'pipe', 'pipe'],
            });
        } catch (error) {
            const first = String(error.stderr)
                .split('\n')
                .find((line) => /error/.test(line));
            bad(`src/${name}:1`, `does not stand alone: ${first ?? error.message}`);
        }
    }
}

// All violations of the tree at root, as lines "file:line: what".
export function check(root, { headers = false, includes = [] } = {}) {
    const found = [];
    const bad = (at, what) => found.push(`${at}: ${what}`);
    const uses = new Map();
    const src = path.join(root, 'src');
    const files = walk(src);

    for (const file of files) {
        const name = path.relative(root, file);
        const room = path.relative(src, file).split(path.sep)[0];
        const lines = fs.readFileSync(file, 'utf8').replace(/\n$/, '').split('\n');
        if (!(room in floors)) {
            bad(`${name}:1`, `is in no room that has a floor`);
            continue;
        }
        lines.forEach((line, i) => checkInclude(`${name}:${i + 1}`, name, room, line, uses, bad));
        checkShape(name, lines, bad);
        const own = file.replace(/\.c$/, '.h');
        const first = lines.find((line) => /^\s*#\s*include/.test(line));
        if (
            file.endsWith('.c') &&
            fs.existsSync(own) &&
            first &&
            !first.includes(`"${path.relative(src, own)}"`)
        )
            bad(`${name}:1`, `does not include its own header first`);
    }
    for (const [rule, list] of uses)
        for (const use of list.slice(rule.files))
            bad(
                use.at,
                `includes <${use.header}>, which ${list[0].file} already does: one module each`
            );
    checkLinks(root, bad);
    if (headers)
        checkHeaders(
            root,
            files.filter((file) => file.endsWith('.h')),
            includes,
            bad
        );
    return { files: files.length, found };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
    const args = process.argv.slice(2);
    const options = { headers: false, includes: [] };
    let root;
    while (args.length) {
        const word = args.shift();
        if (word === '--headers') options.headers = true;
        else if (word === '--include') options.includes.push(args.shift());
        else root = path.resolve(word);
    }
    const { files, found } = check(root, options);
    for (const line of found) console.log(line);
    console.log(`${files} files, ${found.length} violations`);
    process.exitCode = found.length || !files ? 1 : 0;
}
