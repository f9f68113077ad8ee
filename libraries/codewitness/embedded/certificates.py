"""A throw-away certificate authority, for services that their clients insist on https with."""

from __future__ import annotations

import ssl
from pathlib import Path


class Certificates:
    """An authority of its own, and a certificate for this machine's loopback names.

    Args:
        folder: Where the authority's certificate goes.

    Attributes:
        context: Lets a server speak https.
        bundle: PEM file with the authority's certificate, for clients to trust.
    """

    def __init__(self, folder: Path) -> None:
        # Imported here: most runs get along with http.
        import trustme

        authority = trustme.CA()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.bundle = folder / "ca.pem"
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(self.context)
        authority.cert_pem.write_to_path(str(self.bundle))

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make clients trust the authority, and no other.

        The first is this project's own. requests, and with it azure-identity, reads the second;
        aiohttp, httpx and whatever else leaves it to OpenSSL, the third.
        """
        names = ("CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
        return dict.fromkeys(names, str(self.bundle))
