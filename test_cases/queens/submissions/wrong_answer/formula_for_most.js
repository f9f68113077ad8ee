const n = Number(require("fs").readFileSync(0, "utf8"));
const even = [];
const odd = [];
for (let i = 1; i <= n; i++) (i % 2 ? odd : even).push(i);
console.log([...even, ...odd].join(" "));
