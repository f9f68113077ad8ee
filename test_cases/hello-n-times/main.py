count = int(input())
for _ in range(count):
    print("Hello")
