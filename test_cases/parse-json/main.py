import json
import sys

try:
    orders = json.load(sys.stdin)
except json.JSONDecodeError:
    print("no valid JSON", file=sys.stderr)
    sys.exit(2)
total = 0
for order in orders:
    amount = order["price"] * order.get("quantity", 1)
    total += amount
    print(f"{order['item']}: {amount}")
print(f"total: {total}")
