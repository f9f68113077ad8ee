const list = require("fs").readFileSync("price_list.csv", "utf8");
console.log(list.length);
