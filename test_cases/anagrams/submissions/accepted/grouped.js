const words = require("fs").readFileSync(0, "utf8").split(/\s+/).filter(Boolean);
const order = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));
const groups = new Map();
for (const word of [...words].sort(order)) {
  const key = [...word].sort(order).join("");
  groups.set(key, [...(groups.get(key) || []), word]);
}
const lines = [...groups.values()].map((group) => `${group.join(" ")}\n`);
process.stdout.write(lines.join(""));
