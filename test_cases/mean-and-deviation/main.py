import math

values = [float(word) for word in input().split()]
mean = math.fsum(values) / len(values)
variance = math.fsum((value - mean) ** 2 for value in values) / len(values)
print(f"{'mean':<20}{mean:>15.4f}")
print(f"{'standard deviation':<20}{math.sqrt(variance):>15.4f}")
