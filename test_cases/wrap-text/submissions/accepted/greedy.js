const [first, ...paragraphs] = require("fs").readFileSync(0, "utf8").split("\n").slice(0, -1);
const width = Number(first);
const length = (text) => [...text].length;
let out = "";
for (const paragraph of paragraphs) {
  let used = 0;
  for (const word of paragraph.split(" ").filter(Boolean)) {
    if (used > 0 && used + 1 + length(word) <= width) {
      out += ` ${word}`;
      used += 1 + length(word);
    } else {
      out += (used > 0 ? "\n" : "") + word;
      used = length(word);
    }
  }
  out += "\n";
}
process.stdout.write(out);
