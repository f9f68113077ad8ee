const lines = require("fs").readFileSync(0, "utf8").trim().split("\n");
for (const line of lines) {
  const [a, b] = line.trim().split(/\s+/).map(BigInt);
  if (b === 0n) {
    console.log("undefined");
    continue;
  }
  const r = ((a % b) + b) % b;
  console.log(`${(a - r) / b} ${r}`);
}
