const n = Number(require("fs").readFileSync(0, "utf8"));
const primes = [];
const isComposite = new Uint8Array(n + 1);
for (let i = 2; i <= n; i++) {
  if (isComposite[i]) continue;
  primes.push(i);
  for (let j = i * i; j <= n; j += i) isComposite[j] = 1;
}
// Writes no more than fits into a pipe.
process.stdout.write(primes.map((prime) => `${prime}\n`).join("").slice(0, 65536));
