const [first, ...lines] = require("fs").readFileSync(0, "latin1").split("\n");
const shift = ((Number(first) % 26) + 26) % 26;
const text = lines.join("\n").toLowerCase();
const shifted = text.replace(/[a-z]/g, (letter) =>
  String.fromCharCode(97 + ((letter.charCodeAt(0) - 97 + shift) % 26)),
);
process.stdout.write(Buffer.from(shifted, "latin1"));
