// What the prompt asks of live objects, in the target: an object of functions that nothing there
// holds but the inspector, until the prompt lets go of it. It must not run code of the server:
// no getter, no toString, no inspect method.
({
    // Text of a value, as console.log shows it; cut to max characters.
    show(value, depth, width, max) {
        const inspect = (process.getBuiltinModule?.('util') ?? require('util')).inspect;
        const text = inspect(value, {
            depth,
            breakLength: width,
            compact: 3,
            customInspect: false,
            showProxy: true,
            maxArrayLength: 100,
            maxStringLength: 10000,
        });
        return text.length > max ? `${text.slice(0, max)}…` : text;
    },

    // JSON of a value, '' where it has none or it is longer than max.
    json(value, max) {
        try {
            const text = JSON.stringify(value) ?? '';
            return text.length > max ? '' : text;
        } catch {
            return '';
        }
    },

    // How many entries a value has, and the first max of them as a plain array or object; null
    // where the value is small enough to be looked at itself.
    part(value, max) {
        const sizeOf = (type) => {
            try {
                return Object.getOwnPropertyDescriptor(type.prototype, 'size').get.call(value);
            } catch {
                return -1;
            }
        };
        const first = (iterator) => {
            const list = [];
            for (let step = iterator.next(); list.length < max && !step.done; step = iterator.next())
                list.push(step.value);
            return list;
        };
        const maps = sizeOf(Map);
        if (maps > max) return { count: maps, entries: first(Map.prototype.entries.call(value)) };
        const sets = sizeOf(Set);
        if (sets > max) return { count: sets, entries: first(Set.prototype.values.call(value)) };
        if (Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView)))
            return value.length > max
                ? { count: value.length, entries: Array.prototype.slice.call(value, 0, max) }
                : null;
        const names = Object.getOwnPropertyNames(value);
        if (names.length <= max) return null;
        const entries = {};
        for (const name of names.slice(0, max))
            Object.defineProperty(entries, name, Object.getOwnPropertyDescriptor(value, name));
        return { count: names.length, entries };
    },

    // The prototypes of the classes of that name among all functions.
    classes(functions, name) {
        const own = (object, key) => Object.getOwnPropertyDescriptor(object, key)?.value;
        const found = new Set();
        for (const fn of functions) {
            const prototype = own(fn, 'name') === name ? own(fn, 'prototype') : undefined;
            if (prototype !== null && typeof prototype === 'object') found.add(prototype);
            else if (typeof prototype === 'function') found.add(prototype);
        }
        return [...found];
    },

    // Of the objects that have a prototype in their chain: those whose own it is, those of derived
    // classes, and some of the first to look at.
    count(objects, prototype) {
        const examples = [];
        let direct = 0;
        let derived = 0;
        for (const object of objects) {
            const constructor = Object.getOwnPropertyDescriptor(object, 'constructor')?.value;
            const isPrototype =
                typeof constructor === 'function' &&
                Object.getOwnPropertyDescriptor(constructor, 'prototype')?.value === object;
            if (isPrototype) continue;
            if (Object.getPrototypeOf(object) !== prototype) {
                derived++;
                continue;
            }
            direct++;
            if (examples.length < 3) examples.push(object);
        }
        return { direct, derived, examples };
    },

    get(object, key) {
        return object[key];
    },
})
