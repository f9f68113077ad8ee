const tokens = require("fs").readFileSync(0, "utf8").split(/\s+/).filter(Boolean);
const gcd = (a, b) => (b ? gcd(b, a % b) : Math.abs(a));
let [p, q] = [0, 1];
for (const token of tokens) {
  const [a, b = 1] = token.split("/").map(Number);
  [p, q] = [p * b + a * q, q * b];
  const common = gcd(p, q) * Math.sign(q);
  [p, q] = [p / common, q / common];
}
console.log(q === 1 ? `${p}` : `${p}/${q}`);
