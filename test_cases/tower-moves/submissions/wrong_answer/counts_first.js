const moves = [];
const move = (discs, from, to, other) => {
  if (discs > 0) {
    move(discs - 1, from, other, to);
    moves.push(`${from} ${to}\n`);
    move(discs - 1, other, to, from);
  }
};
move(Number(require("fs").readFileSync(0, "utf8")), "A", "C", "B");
process.stdout.write(`${moves.length}\n${moves.join("")}`);
