const line = require("fs").readFileSync(0, "utf8").split("\n")[0];
const partner = { ")": "(", "]": "[", "}": "{" };
const open = [];
let deepest = 0;
let wrong = -1;
for (let at = 0; at < line.length && wrong < 0; at++) {
  if ("([{".includes(line[at])) deepest = Math.max(deepest, open.push(line[at]));
  else if (line[at] in partner && open.pop() !== partner[line[at]]) wrong = at;
}
if (wrong < 0 && open.length > 0) wrong = line.length;
console.log(wrong < 0 ? `balanced ${deepest}` : `wrong ${wrong}`);
