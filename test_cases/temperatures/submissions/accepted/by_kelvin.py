import sys

TO_KELVIN = {
    "C": lambda degrees: degrees + 273.15,
    "F": lambda degrees: (degrees + 459.67) * 5 / 9,
    "K": lambda degrees: degrees,
}
FROM_KELVIN = {
    "C": lambda kelvin: kelvin - 273.15,
    "F": lambda kelvin: kelvin * 9 / 5 - 459.67,
    "K": lambda kelvin: kelvin,
}

try:
    degrees, unit = sys.stdin.readline().split()
    kelvin = TO_KELVIN[unit](float(degrees))
except (ValueError, KeyError):
    print("no temperature")
    sys.exit(1)
if kelvin < -1e-9:
    print("below absolute zero")
    sys.exit(2)
to = sys.argv[sys.argv.index("--to") + 1]
print(f"{FROM_KELVIN[to](kelvin):.4f}", to)
