const lines = require("fs").readFileSync(0, "utf8").trim().split("\n");
for (const line of lines) {
  const [a, b, c] = line.trim().split(/\s+/).map(Number);
  const width = Math.sqrt(b * b - 4 * a * c);
  console.log([(-b - width) / (2 * a), (-b + width) / (2 * a)].join(" "));
}
