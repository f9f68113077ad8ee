const scales = { C: [1, 273.15], F: [5 / 9, 459.67 * (5 / 9)], K: [1, 0] };
const to = process.argv[process.argv.indexOf("--to") + 1];
const words = require("fs").readFileSync(0, "utf8").trim().split(/\s+/);
const isNumber = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;
if (words.length !== 2 || !isNumber.test(words[0]) || !Object.hasOwn(scales, words[1])) {
  console.log("No temperature");
  process.exit(1);
}
const [step, zero] = scales[words[1]];
const kelvin = Number(words[0]) * step + zero;
if (kelvin < -1e-9) {
  console.log("Below absolute zero");
  process.exit(2);
}
console.log(((kelvin - scales[to][1]) / scales[to][0]).toExponential(9), to);
