import sys

n = int(sys.stdin.readline())
is_prime = bytearray([1]) * ((n + 1) // 2)
for i in range(3, int(n**0.5) + 1, 2):
    if is_prime[i // 2]:
        multiples = range(i * i // 2, len(is_prime), i)
        is_prime[i * i // 2 :: i] = bytes(len(multiples))
primes = [2] * (n >= 2) + [2 * i + 1 for i in range(1, len(is_prime)) if is_prime[i]]
sys.stdout.write("".join(f"{prime}\n" for prime in primes))
