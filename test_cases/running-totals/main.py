import sys

total = count = 0
for line in sys.stdin:
    if not line.strip():
        continue
    total += int(line)
    count += 1
    if count % 100 == 0:
        print(f"{count} lines: {total}")
print(f"all {count} lines: {total}")
