const [n, ...numbers] = require("fs").readFileSync(0, "utf8").trim().split(/\s+/).map(Number);
const gcd = (a, b) => (b ? gcd(b, a % b) : a);
const multiple = numbers.reduce((a, b) => (a / gcd(a, b)) * b, 1);
console.log(numbers.reduce(gcd, 0), multiple <= 1e18 ? multiple : "large");
