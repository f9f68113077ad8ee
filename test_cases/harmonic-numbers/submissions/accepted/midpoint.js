const n = Number(require("fs").readFileSync(0, "utf8"));
let total = 0;
const summed = Math.min(n, 10000);
for (let i = summed; i > 0; i--) total += 1 / i;
if (n > summed) {
  // Each 1/i is the integral of 1/x around i, less a third derivative that is nearly nothing.
  const [from, to] = [summed + 0.5, n + 0.5];
  total += Math.log(to / from) + (1 / from ** 2 - 1 / to ** 2) / -24;
}
console.log(total.toExponential(14));
