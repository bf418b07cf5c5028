// Of keepers.cjs: variables that a module exports.
export const shelf = new Map();
const drawer = [];
export default drawer;
