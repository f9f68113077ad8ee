const tokens = require("fs").readFileSync(0, "utf8").split(/\s+/).filter(Boolean);
const gcd = (a, b) => (b === 0n ? a : gcd(b, a % b));
let [p, q] = [0n, 1n];
for (const token of tokens) {
  const [a, b = 1n] = token.split("/").map(BigInt);
  [p, q] = [p * b + a * q, q * b];
  const common = gcd(p, q);
  [p, q] = [p / common, q / common];
}
if (q < 0n) [p, q] = [-p, -q];
console.log(q === 1n ? `${p}` : `${p}/${q}`);
