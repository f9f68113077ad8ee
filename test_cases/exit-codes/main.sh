read -r code
echo "leaving with $code"
exit "$code"
