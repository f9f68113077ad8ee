const tokens = require("fs").readFileSync(0, "utf8").match(/\d+|[^\s\d]/g);
let at = 0;
function factor() {
  const token = tokens[at++];
  if (token === "-") return -factor();
  if (token === "+") return factor();
  if (token !== "(") return BigInt(token);
  const value = all();
  at++;
  return value;
}
function all() {
  let value = factor();
  while (at < tokens.length && tokens[at] !== ")") {
    const operator = tokens[at++];
    const right = factor();
    if (operator === "+") value += right;
    else if (operator === "-") value -= right;
    else if (operator === "*") value *= right;
    else value /= right;
  }
  return value;
}
try {
  console.log(String(all()));
} catch (error) {
  if (!(error instanceof RangeError)) throw error;
  console.log("error");
}
