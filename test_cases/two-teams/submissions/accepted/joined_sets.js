const [n, m, ...people] = require("fs").readFileSync(0, "utf8").trim().split(/\s+/).map(Number);
// Each person stands there twice: in a team at i, and in the other one at i + n.
const parent = Array.from({ length: 2 * n + 1 }, (_, i) => i);
const find = (i) => {
  while (parent[i] !== i) i = parent[i] = parent[parent[i]];
  return i;
};
const join = (i, j) => {
  const [a, b] = [find(i), find(j)];
  parent[Math.max(a, b)] = Math.min(a, b);
};
for (let i = 0; i < m; i++) {
  const [one, other] = [people[2 * i], people[2 * i + 1]];
  join(one, other + n);
  join(other, one + n);
}
const everyone = Array.from({ length: n }, (_, i) => i + 1);
if (everyone.some((i) => find(i) === find(i + n))) console.log("impossible");
else console.log(everyone.map((i) => (find(i) < find(i + n) ? 2 : 1)).join("\n"));
