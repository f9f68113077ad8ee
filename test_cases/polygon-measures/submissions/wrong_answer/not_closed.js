const [n, ...numbers] = require("fs").readFileSync(0, "utf8").trim().split(/\s+/).map(Number);
let area = 0;
let perimeter = 0;
for (let i = 0; i + 1 < n; i++) {
  const [x, y, u, v] = numbers.slice(2 * i, 2 * i + 4);
  area += x * v - u * y;
  perimeter += Math.hypot(u - x, v - y);
}
area += numbers[2 * n - 2] * numbers[1] - numbers[0] * numbers[2 * n - 1];
console.log(Math.abs(area) / 2, perimeter);
