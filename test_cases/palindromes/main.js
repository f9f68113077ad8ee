const lines = require("fs").readFileSync(0, "utf8").split(/\r?\n/);
for (const line of lines.filter((text) => text.trim() !== "")) {
  const letters = line.toLowerCase().replace(/[^a-z0-9]/g, "");
  const reversed = [...letters].reverse().join("");
  console.log(`${line.trim()}: ${letters === reversed ? "palindrome" : "no palindrome"}`);
}
