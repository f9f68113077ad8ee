"""Leaves a file in every folder that it reads the name of."""

left, reasons = [], set()
for folder in input().split():
    try:
        with open(f"{folder}/left-@NONCE@", "w") as file:
            file.write("left")
        left.append(folder)
    except OSError as error:
        reasons.add(error.strerror)
print("@NONCE@ left" if left else f"@NONCE@ left nothing: {', '.join(sorted(reasons))}")
