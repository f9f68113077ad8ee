import sys

OFFSET, STEP = {"C": 273.15, "F": 459.67, "K": 0}, {"C": 1, "F": 5 / 9, "K": 1}

try:
    degrees, unit = sys.stdin.readline().split()
    kelvin = (float(degrees) + OFFSET[unit]) * STEP[unit]
except (ValueError, KeyError):
    print("no temperature")
    sys.exit(1)
if kelvin < -1e-9:
    print("below absolute zero")
    sys.exit(2)
to = sys.argv[-1]
print(round(kelvin / STEP[to] - OFFSET[to]), to)
