import sys

sys.stdout.reconfigure(encoding="utf-8")
for number, argument in enumerate(sys.argv[1:], 1):
    print(f"{number}: [{argument}]")
print("arguments:", len(sys.argv) - 1)
