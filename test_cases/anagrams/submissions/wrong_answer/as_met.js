const words = require("fs").readFileSync(0, "utf8").split(/\s+/).filter(Boolean);
const groups = new Map();
for (const word of words) {
  const key = [...word].sort().join("");
  groups.set(key, [...(groups.get(key) || []), word]);
}
for (const group of groups.values()) console.log(group.join(" "));
