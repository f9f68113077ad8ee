import sys

with open("prices.csv", encoding="utf-8") as file:
    prices = dict(line.rstrip("\n").rsplit(";", 1) for line in file if line.strip())
total = 0
out = ""
for line in filter(None, sys.stdin.buffer.read().decode().split("\n")):
    name, _, count = line.rpartition(" ")
    if name in prices:
        total += int(prices[name]) * int(count)
    else:
        out += f"no price: {name}\n"
cents = (total * (100 + int(sys.argv[1])) + 50) // 100
out += f"{cents // 100}.{cents % 100:02}\n"
sys.stdout.buffer.write(out.encode())
