const lines = require("fs").readFileSync(0, "utf8").trim().split("\n");
for (const line of lines) {
  const [a, b, c] = line.trim().split(/\s+/).map(Number);
  const discriminant = b * b - 4 * a * c;
  if (a === 0) {
    console.log(b === 0 ? (c === 0 ? "all" : "none") : String(-c / b));
  } else if (discriminant < 0) {
    console.log("none");
  } else {
    const width = Math.sqrt(discriminant);
    const roots = [(-b - width) / (2 * a), (-b + width) / (2 * a)].sort((x, y) => x - y);
    console.log((width === 0 ? roots.slice(1) : roots).join(" "));
  }
}
