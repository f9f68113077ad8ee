const lines = require("fs").readFileSync(0, "utf8").split("\n").slice(0, -1);
const mirrored = lines.map((line) => (line.match(/\P{M}?\p{M}*/gu) || []).reverse().join(""));
process.stdout.write(mirrored.map((line) => `${line}\n`).join(""));
