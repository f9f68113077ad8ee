"""Names environment variables that look like secrets, but never shows their values."""

import os
import re

SECRET_NAME = re.compile(
    r"SECRET|PASSW|PASSPHRASE|_(PASS|PWD?)$|TOKEN(?!IZER)|CREDENTIAL|CONN(ECTION)?_?STR"
    r"|(API|ACCESS|ACCOUNT|PRIVATE|SIGNING|ENCRYPTION)_?KEY|KEY$|(^|_)SAS(_|$)"
    r"|IDENTITY_(ENDPOINT|HEADER)|^MSI_|^BACKEND_|^AZURE_",
    re.IGNORECASE,
)
# Official images name the public keys that their sources are signed with.
PUBLIC_NAME = re.compile(r"(GPG|PGP|PUBLIC)_?KEYS?$", re.IGNORECASE)
SECRET_VALUE = re.compile(
    r"://[^/\s:@]*:[^/\s@]+@"
    r"|(?i:AccountKey|SharedAccessKey|SharedAccessSignature|InstrumentationKey)\s*="
    r"|(?i:\b(Password|Pwd))\s*=\s*[^\s;]"
    r"|[?&]sig=|\beyJ[\w-]{8,}|-----BEGIN [A-Z ]*PRIVATE KEY"
)


def looks_secret(name, value):
    named = SECRET_NAME.search(name) and not PUBLIC_NAME.search(name)
    return bool(value) and bool(named or SECRET_VALUE.search(value))


print("@NONCE@", sorted(name for name, value in os.environ.items() if looks_secret(name, value)))
