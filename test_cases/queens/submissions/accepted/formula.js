const n = Number(require("fs").readFileSync(0, "utf8"));
const even = [];
const odd = [];
for (let i = 1; i <= n; i++) (i % 2 ? odd : even).push(i);
if (n % 6 === 2) {
  // 3, 1, 7, 9, ..., 5
  [odd[0], odd[1]] = [odd[1], odd[0]];
  odd.push(...odd.splice(2, 1));
} else if (n % 6 === 3) {
  even.push(even.shift());
  odd.push(...odd.splice(0, 2));
}
console.log(n === 2 || n === 3 ? "impossible" : [...even, ...odd].join(" "));
