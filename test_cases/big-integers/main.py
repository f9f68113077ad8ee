import math

n = int(input())
factorial = math.factorial(n)
print(factorial)
print("digits:", len(str(factorial)))
print("remainder modulo 1000000007:", factorial % 1_000_000_007)
