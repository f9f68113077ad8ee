const [k, ...words] = require("fs").readFileSync(0, "utf8").split(/\s+/).filter(Boolean);
const counts = new Map();
for (const word of words) counts.set(word, (counts.get(word) || 0) + 1);
const ranked = [...counts].sort(
  ([a, many], [b, more]) => more - many || Buffer.compare(Buffer.from(a), Buffer.from(b)),
);
console.log(ranked.slice(0, Number(k)).map((each) => each.join(" ")).join("\n"));
