export default function bus() {
    const handlers = new Map();
    return {
        on(type, handler) {
            const list = handlers.get(type);
            if (list) list.push(handler);
            else handlers.set(type, [handler]);
        },
        off(type, handler) {
            const list = handlers.get(type) ?? [];
            const at = list.indexOf(handler);
            if (at >= 0) list.splice(at, 1);
        },
        emit(type, value) {
            for (const handler of [...(handlers.get(type) ?? [])]) handler(value);
        },
    };
}
