import sys

with open("prices.csv", encoding="utf-8") as file:
    prices = dict(line.rstrip("\n").rsplit(";", 1) for line in file if line.strip())
total = 0.0
out = ""
for line in filter(None, sys.stdin.buffer.read().decode().split("\n")):
    name, _, count = line.rpartition(" ")
    if name in prices:
        total += int(prices[name]) / 100 * int(count)
    else:
        out += f"no price: {name}\n"
out += f"{total * (1 + int(sys.argv[1]) / 100):.2f}\n"
sys.stdout.buffer.write(out.encode())
