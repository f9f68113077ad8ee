const [amount, n, ...coins] = require("fs").readFileSync(0, "utf8").trim().split(/\s+/).map(Number);
// reach[i][s]: whether the coins from i on can be worth s.
const reach = Array.from({ length: n + 1 }, () => new Uint8Array(amount + 1));
reach[n][0] = 1;
for (let i = n - 1; i >= 0; i--) {
  for (let s = 0; s <= amount; s++) {
    reach[i][s] = reach[i + 1][s] | (s >= coins[i] ? reach[i + 1][s - coins[i]] : 0);
  }
}
if (!reach[0][amount]) {
  console.log("impossible");
} else {
  let left = amount;
  for (let i = 0; i < n; i++) {
    if (left >= coins[i] && reach[i + 1][left - coins[i]]) {
      console.log(i + 1);
      left -= coins[i];
    }
  }
}
