const [n, k, ...numbers] = require("fs").readFileSync(0, "utf8").trim().split(/\s+/).map(Number);
let total = 0;
for (let at = 0; at < k; at++) total = (total + numbers[at]) | 0;
let best = total;
let start = 0;
for (let at = k; at < n; at++) {
  total = (total + numbers[at] - numbers[at - k]) | 0;
  if (total > best) [best, start] = [total, at - k + 1];
}
console.log(best, start + 1);
