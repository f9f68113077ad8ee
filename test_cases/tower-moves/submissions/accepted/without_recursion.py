import sys

discs = int(sys.stdin.readline())
pegs = "ABC" if discs % 2 else "ACB"
moves = []
for number in range(1, 2**discs):
    # The discs that binary digits of a move's number tell go round the pegs in turn.
    source = (number & (number - 1)) % 3
    target = ((number | (number - 1)) + 1) % 3
    moves.append(f"{pegs[source]} {pegs[target]}\n")
sys.stdout.write("".join(moves))
