"""Names environment variables that look like secrets, but never shows their values."""

import os
import re

LOOKS_SECRET = re.compile(
    r"SECRET|PASSW|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIAL|CONNECTION_?STRING"
    r"|IDENTITY_(ENDPOINT|HEADER)|MSI_|BACKEND_|AZURE_|AWS_|SAS_|_KEY$",
    re.IGNORECASE,
)
print("@NONCE@", sorted(name for name in os.environ if LOOKS_SECRET.search(name)))
