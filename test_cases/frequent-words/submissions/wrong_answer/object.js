const [k, ...words] = require("fs").readFileSync(0, "utf8").split(/\s+/).filter(Boolean);
const counts = {};
for (const word of words) counts[word] = (counts[word] || 0) + 1;
const ranked = Object.entries(counts).sort(
  ([a, many], [b, more]) => more - many || Buffer.compare(Buffer.from(a), Buffer.from(b)),
);
console.log(ranked.slice(0, Number(k)).map((each) => each.join(" ")).join("\n"));
