const [rows, columns, ...words] = require("fs").readFileSync(0, "utf8").trim().split(/\s+/);
for (let column = 0; column < rows; column++) {
  const line = [];
  for (let row = 0; row < columns; row++) line.push(words[row * columns + column]);
  console.log(line.join(" "));
}
