// Keeps every third of what it makes, by several ways to the same function.
const kept = [];
class Order {
    constructor(i) {
        this.lines = [i, `order ${i}`];
        this.sum = { net: i * 1.5, gross: i * 2 };
    }
}
function make(i) {
    const order = new Order(i);
    if (i % 3 === 0) kept.push(order, new Map([[i, order]]));
}
function direct(i) {
    make(i);
}
function mapped(i) {
    [i, i + 1].map((n) => make(n));
}
let i = 0;
setInterval(() => {
    direct(i++);
    mapped(i++);
    make(i++);
}, 5);
