read -r name
echo "Hello, $name, from Bash: @NONCE@"
