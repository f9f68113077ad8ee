const [first, ...paragraphs] = require("fs").readFileSync(0, "utf8").split("\n").slice(0, -1);
for (const paragraph of paragraphs) {
  let line = "";
  for (const word of paragraph.split(" ").filter(Boolean)) {
    const longer = line ? `${line} ${word}` : word;
    if (line && Buffer.byteLength(longer) > Number(first)) {
      console.log(line);
      line = word;
    } else {
      line = longer;
    }
  }
  console.log(line);
}
