const fs = require("fs");
const prices = new Map();
for (const line of fs.readFileSync("prices.csv", "utf8").split("\n").filter(Boolean)) {
  const at = line.lastIndexOf(";");
  prices.set(line.slice(0, at), Number(line.slice(at + 1)));
}
let total = 0;
for (const line of fs.readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const at = line.lastIndexOf(" ");
  if (!prices.has(line.slice(0, at))) console.log(`no price: ${line.slice(0, at)}`);
  total += (prices.get(line.slice(0, at)) || 0) * Number(line.slice(at + 1));
}
console.log((Math.floor((total * 119 + 50) / 100) / 100).toFixed(2));
