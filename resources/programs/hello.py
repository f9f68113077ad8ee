print(f"Hello, {input()}, from Python: @NONCE@")
