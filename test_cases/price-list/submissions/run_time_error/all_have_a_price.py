import sys

with open("prices.csv", encoding="utf-8") as file:
    prices = dict(line.rstrip("\n").rsplit(";", 1) for line in file if line.strip())
total = 0
for line in filter(None, sys.stdin.buffer.read().decode().split("\n")):
    name, _, count = line.rpartition(" ")
    total += int(prices[name]) * int(count)
cents = (total * (100 + int(sys.argv[1])) + 50) // 100
print(f"{cents // 100}.{cents % 100:02}")
