const lines = require("fs").readFileSync(0, "utf8").trim().split("\n");
for (const line of lines) {
  const [a, b] = line.trim().split(/\s+/).map(Number);
  console.log(b === 0 ? "undefined" : `${Math.floor(a / b)} ${a - Math.floor(a / b) * b}`);
}
