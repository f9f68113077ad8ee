const [n, ...numbers] = require("fs").readFileSync(0, "utf8").trim().split(/\s+/).map(Number);

function count(list, from, to, spare) {
  if (to - from < 2) return 0;
  const middle = (from + to) >> 1;
  let found = count(list, from, middle, spare) + count(list, middle, to, spare);
  for (let at = from, left = from, right = middle; at < to; at++) {
    if (right === to || (left < middle && list[left] <= list[right])) {
      spare[at] = list[left++];
    } else {
      found += middle - left;
      spare[at] = list[right++];
    }
  }
  for (let at = from; at < to; at++) list[at] = spare[at];
  return found;
}

console.log(count(Int32Array.from(numbers), 0, n, new Int32Array(n)));
