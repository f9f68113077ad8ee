const fs = require("fs");
const lines = (text) => text.split("\n").filter(Boolean);
const prices = new Map();
for (const line of lines(fs.readFileSync("prices.csv", "utf8"))) {
  const [, name, price] = line.match(/^(.*);(\d+)$/);
  prices.set(name, BigInt(price));
}
let total = 0n;
for (const line of lines(fs.readFileSync(0, "utf8"))) {
  const [, name, count] = line.match(/^(.*) (\d+)$/);
  if (prices.has(name)) total += prices.get(name) * BigInt(count);
  else console.log(`no price: ${name}`);
}
const hundredths = total * (100n + BigInt(process.argv[2]));
const cents = String((hundredths + 50n) / 100n).padStart(3, "0");
console.log(`${cents.slice(0, -2)}.${cents.slice(-2)}`);
