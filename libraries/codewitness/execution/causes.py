"""Likely causes of platform faults, and what to do about them.

One table, read from top to bottom: the first rule that fits what was observed gives the
diagnosis. The causes were met in the field by teams that run a backend in front of an Azure
session pool, or belong to HTTP itself. Rows are named by group: ``N`` network and transport,
``I`` identity, ``R`` routing and request shape, ``C`` capacity, start-up and time, ``X``
results that are not the program's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from codewitness.execution.model import FaultKind, PlatformFault


@dataclass(frozen=True)
class Diagnosis:
    """What probably happened, and what to do.

    Attributes:
        cause: The likely cause, as a sentence without the final stop.
        cure: What to do about it, likewise.
        row: Short stable name of the finding, such as ``C7``; empty for a general one.
        also: Names of findings that a client can't tell from this one by what it saw; the cause
            speaks of them, too.
    """

    cause: str
    cure: str
    row: str = ""
    also: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.cause}. To do: {self.cure}."

    @property
    def rows(self) -> tuple[str, ...]:
        """All candidates, the likeliest first."""
        return (self.row, *self.also) if self.row else ()


@dataclass(frozen=True)
class _Rule:
    row: str
    cause: str
    cure: str
    kinds: tuple[FaultKind, ...] = ()
    statuses: tuple[int, ...] = ()
    text: str = ""
    also: tuple[str, ...] = ()

    def fits(self, kind: FaultKind, status: int | None, text: str) -> bool:
        return (
            (not self.kinds or kind in self.kinds)
            and (not self.statuses or status in self.statuses)
            and bool(re.search(self.text, text, re.IGNORECASE | re.DOTALL))
        )


def _no_token(text: str) -> str:
    """Return a pattern for what azure-identity says when it gives no token."""
    return rf"(no token for|Azure authentication failed)\b.*({text})"


_TOKEN_RULES = (
    _Rule(
        "I7",
        "a proxy of the environment stands between the suite and the identity endpoint",
        "exempt the identity endpoint: NO_PROXY=127.0.0.1,localhost,169.254.169.254",
        text=_no_token(r"Unable to connect to proxy|Tunnel connection failed"),
    ),
    _Rule(
        "I7",
        "the identity endpoint is configured and answered, but its reply has no token or no expiry",
        "look at what answers at IDENTITY_ENDPOINT; a managed identity's endpoint gives "
        "access_token and expires_on",
        text=_no_token(r"App Service managed identity.*Token request error.*None, None"),
    ),
    _Rule(
        "I7",
        "the identity endpoint is configured but refused ('configuration not found' is "
        "azure-identity's wording for that); the status and the reason stand behind it",
        "check that the managed identity is assigned to the app, that AZURE_CLIENT_ID, if set, is "
        "one of its identities, and that IDENTITY_HEADER is the app's own",
        text=_no_token(r"App Service managed identity.*Token request error"),
    ),
    _Rule(
        "I7",
        "the machine has no managed identity, or not the one that AZURE_CLIENT_ID names",
        "assign the identity to it, or correct AZURE_CLIENT_ID",
        text=_no_token(r"IMDS endpoint.*Token request error|No identity has been assigned"),
    ),
    _Rule(
        "I7",
        "no managed identity is reachable: this machine is not on Azure, or IDENTITY_ENDPOINT and "
        "IDENTITY_HEADER are not set",
        "on Azure check that the identity is enabled and the variables reach the process; "
        "elsewhere set AZURE_TOKEN_CREDENTIALS to the credential that is meant, such as "
        "AzureCliCredential",
        text=_no_token(
            r"no response from the IMDS endpoint|ManagedIdentityCredential authentication unavail"
        ),
    ),
    _Rule(
        "I7",
        "the certificate of the sign-in host was issued by an authority that is not trusted here",
        "give the authority's PEM file as CA_BUNDLE or REQUESTS_CA_BUNDLE; azure-identity does not "
        "read SSL_CERT_FILE",
        text=_no_token(r"CERTIFICATE_VERIFY_FAILED"),
    ),
    _Rule(
        "I7",
        "the authority is addressed with plain http, which azure-identity refuses",
        "write https:// in AZURE_AUTHORITY_HOST",
        text=_no_token(r"is an invalid authority"),
    ),
    _Rule(
        "I7",
        "the tenant does not exist at this authority, or the authority is the wrong one",
        "correct AZURE_TENANT_ID and AZURE_AUTHORITY_HOST",
        text=_no_token(r"Unable to get authority configuration|AADSTS(90002|900023)\b"),
    ),
    _Rule(
        "I7",
        "the client secret is wrong or has expired",
        "make a new secret for the application and set AZURE_CLIENT_SECRET to its value, not to "
        "its identifier",
        text=_no_token(r"AADSTS(7000215|7000222)\b"),
    ),
    _Rule(
        "I7",
        "the tenant has no application of this identifier",
        "correct AZURE_CLIENT_ID, or AZURE_TENANT_ID if the application lives in another tenant",
        text=_no_token(r"AADSTS700016\b"),
    ),
    _Rule(
        "I7",
        "the tenant refused the sign-in; the code that begins with AADSTS names the reason",
        "look the code up and correct the application or the federated credential it speaks of",
        text=r"\bAADSTS\d+",
    ),
    _Rule(
        "I7",
        "the identity service is out of order; it was asked four times",
        "repeat; if it persists, look at the state of the identity service",
        text=_no_token(r"HTTP Error: 5\d\d"),
    ),
    _Rule(
        "I7",
        "the file with the federated token is not there",
        "correct AZURE_FEDERATED_TOKEN_FILE, or mount the volume that holds the file",
        text=_no_token(r"No such file or directory|FileNotFoundError"),
    ),
    _Rule(
        "I7",
        "the credential's variables are incomplete or empty",
        "set the variables named above, all of them, where the process starts that wants the "
        "token; a client secret needs AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
        text=_no_token(
            r"not fully configured|Missing required arguments|should be .{0,10}Microsoft Entra"
        ),
    ),
    _Rule(
        "I7",
        "AZURE_TOKEN_CREDENTIALS names no credential that there is",
        "correct it to one of the values listed above; spelling counts, case does not",
        text=_no_token(r"Invalid value for AZURE_TOKEN_CREDENTIALS"),
    ),
    _Rule(
        "I7",
        "the command-line tool whose login shall be used is not installed, or not on PATH",
        "install it and sign in, or set AZURE_TOKEN_CREDENTIALS to another credential",
        text=_no_token(r"CLI not found on path|CLI could not be found|PowerShell is not installed"),
    ),
    _Rule(
        "I7",
        "nobody is signed in with the command-line tool whose login shall be used",
        "sign in (az login, azd auth login), then repeat",
        text=_no_token(r"az login|azd auth login"),
    ),
    _Rule(
        "I7",
        "the command-line tool whose login shall be used failed or was too slow",
        "run 'az account get-access-token --scope https://dynamicsessions.io/.default' by hand "
        "and cure what it complains of",
        text=_no_token(r"Failed to invoke|Unexpected output from"),
    ),
    _Rule(
        "I7",
        "the identity endpoint does not run, or listens on another port",
        "check IDENTITY_ENDPOINT, or whichever address stands above",
        text=_no_token(r"refused|actively"),
    ),
    _Rule(
        "I7",
        "the sign-in host can't be reached from here",
        "check the network and HTTPS_PROXY; in a cloud without that host set AZURE_AUTHORITY_HOST",
        text=_no_token(r"Failed to resolve|Max retries exceeded|timed out|Network is unreachable"),
    ),
    _Rule(
        "I7",
        "no credential gave a token: none is configured, or the identity service can't be reached",
        "set AZURE_TOKEN_CREDENTIALS to the credential that is meant (ManagedIdentityCredential on "
        "Azure, AzureCliCredential on a desk), check the variables it needs, and exempt the "
        "identity endpoint from the proxy with NO_PROXY",
        text=r"Azure authentication failed|\bno token for |CredentialUnavailable",
    ),
)

_RULES = (
    # Texts that name their cause, whichever way they arrive.
    _Rule(
        "X1",
        "the backend has no address of a session pool and reports that as the program's failure",
        "set POOL_MANAGEMENT_ENDPOINT where the backend runs, and restart it",
        text=r"POOL_MANAGEMENT_ENDPOINT\b.{0,40}\b(not|missing|unset|required)",
    ),
    *_TOKEN_RULES,
    _Rule(
        "X5",
        "a placeholder executor is deployed: its text does not depend on the program",
        "deploy the real executor's image under a new tag and update the pool",
        text=r"\bMock execution for\b",
    ),
    _Rule(
        "X6",
        "the deployed executor is older than the code that knows this language; images are cached "
        "per tag",
        "push the image under a new tag, update the pool, and read its runtimes again",
        text=r"\bUnsupported language\b",
    ),
    _Rule(
        "X9",
        "the service in between pins a version that the executor does not have",
        "let it send a version range such as * or 3, or a version from the runtimes list",
        kinds=(FaultKind.SERVER_ERROR, FaultKind.PLATFORM_ERROR_AS_RESULT),
        text=r"runtime is unknown",
    ),
    _Rule(
        "X14",
        "the backend and the executor behind it speak different contracts (stdin against "
        "test_cases)",
        "align the two, or point the backend at the executor it was written for",
        text=r"No test cases provided|\btest_cases\b",
    ),
    _Rule(
        "C11",
        "the pool's built-in interpreter stops programs after about 220 s",
        "shorten the program",
        text=r"timed out waiting for code execution",
    ),
    _Rule(
        "C1",
        "more executions ran at once than the run may use sessions, or sessions were given up "
        "after time-outs and cut connections",
        "raise MAX_SESSIONS_USED, up to the pool's own maximum, or run fewer programs at once",
        text=r"sessions that this run may use",
    ),
    _Rule(
        "C3",
        "the pool has no session to give although this run holds none: it is still warming after "
        "being created or updated, or other callers hold all of them",
        "wait for ready instances and repeat; if it persists, look at who uses the pool and raise "
        "its maximum",
        statuses=(429,),
        text=r"allocating pod.*\(session pool, of which the caller holds no session\)",
    ),
    _Rule(
        "C10",
        "the pool's allocator failed",
        "repeat; if it keeps happening, count such answers in the report and ask the platform's "
        "support",
        statuses=(500,),
        text=r"allocat",
    ),
    _Rule(
        "C1",
        "every session of the pool is taken; typically each call uses a new random identifier, "
        "which holds a session for the whole cooldown. Or sessions are never stopped, or the pool "
        "is still warming after being created or updated",
        "reuse one identifier per user or worker; if identifiers are reused, stop sessions after "
        "use, shorten the cooldown or raise the maximum; a warming pool gets ready by itself",
        text=r"allocating pod",
        also=("C2", "C3"),
    ),
    _Rule(
        "C4",
        "the built-in pool is full; typically each call uses a new random identifier, and each of "
        "those holds a session for the whole cooldown",
        "reuse one identifier per user or worker; if identifiers are reused, stop sessions after "
        "use, shorten the cooldown or raise the maximum",
        text=r"SessionsCountExceedsLimit|active sessions?.{0,40}(limit|exceed)",
    ),
    _Rule(
        "R9",
        "the pool's gateway did not accept the identifier, the api-version or the route",
        "look at 'target' in the answer; identifiers have 4 to 128 letters, digits and hyphens",
        statuses=(400,),
        text=r"SessionRequestNotSupported"
        r"|SessionRequestValidationFailed.*\(session pool, of which the caller holds"
        r"|SessionRequestValidationFailed(?!.*\bidentifier\b(?!=))",
    ),
    _Rule(
        "R5",
        "the pool was called without an identifier",
        "append ?identifier=<user or worker> to the pool's address; there is no call that creates "
        "a session",
        statuses=(400,),
        text=r"\bidentifier\b(?!=)",
    ),
    _Rule(
        "R7",
        "a body of one API generation or pool kind was sent to the other",
        "send code/execute wrapped in properties, executions flat, and a custom container its own "
        "body",
        text=r"SessionPropertiesMissing|codeInputType|executionType",
    ),
    _Rule(
        "R8",
        "a custom-container pool was addressed by the regional management host",
        "use the pool's own host",
        text=r"DynamicApisNotAllowed",
    ),
    _Rule(
        "R6",
        "the container behind the pool refuses the api-version parameter",
        "drop api-version on the container's own routes and keep it on management ones",
        statuses=(400,),
        text=r"api-version\b(?!=)",
    ),
    # The network.
    _Rule(
        "N1",
        "the host name does not exist, or this machine's name server does not know it",
        "check the host in ENDPOINT for typing errors; for a private name connect to its network "
        "first; where everything goes through a proxy set HTTP_PROXY and HTTPS_PROXY",
        kinds=(FaultKind.NAME_NOT_RESOLVED,),
    ),
    _Rule(
        "N2",
        "the proxy of the environment stands in the way",
        "check HTTP_PROXY, HTTPS_PROXY and the proxy's credentials, or exempt the endpoint's host "
        "with NO_PROXY",
        text=r"\bthe proxy (can't be reached|refused)|^HTTP 407\b",
    ),
    _Rule(
        "N3",
        "no service listens on this port",
        "start the service, or correct host and port of ENDPOINT; inside a container 127.0.0.1 is "
        "the container itself",
        kinds=(FaultKind.NOTHING_LISTENING,),
        text=r"refused|actively",
    ),
    _Rule(
        "N4",
        "no way leads from this machine to that address",
        "check the address, the network or VPN, and the firewall",
        kinds=(FaultKind.NOTHING_LISTENING,),
    ),
    _Rule(
        "N5",
        "the service's certificate has expired, or this machine's clock is wrong",
        "renew the certificate; check the clock",
        kinds=(FaultKind.TLS,),
        text=r"expired|not yet valid",
    ),
    _Rule(
        "N6",
        "the certificate belongs to another host name than the one in ENDPOINT",
        "use the name that the certificate was issued for, or have a certificate issued for this "
        "one",
        kinds=(FaultKind.TLS,),
        text=r"hostname mismatch|IP address mismatch|not valid for",
    ),
    _Rule(
        "N7",
        "the certificate was issued by an authority that this machine does not trust (a private "
        "one, a TLS-inspecting proxy, or a server that leaves out the intermediate certificate)",
        "give the authority's PEM file as CA_BUNDLE; for a throw-away server only, set "
        "VERIFY_TLS=false",
        kinds=(FaultKind.TLS,),
        text=r"issuer certificate|self[- ]signed|unable to verify|verify failed",
    ),
    _Rule(
        "N8",
        "the service speaks TLS on this port and was addressed with plain http",
        "write https:// in ENDPOINT",
        kinds=(FaultKind.TLS,),
        text=r"URL says http",
    ),
    _Rule(
        "N9",
        "the service speaks plain http on this port and was addressed with https",
        "write http:// in ENDPOINT, or give the port that speaks TLS",
        kinds=(FaultKind.TLS,),
        text=r"WRONG.VERSION.NUMBER|RECORD.LAYER.FAILURE|HTTP.REQUEST|PACKET.LENGTH|UNKNOWN.PROTOCOL",
    ),
    _Rule(
        "N10",
        "the service demands something of TLS that this client does not offer, such as a client "
        "certificate or another protocol version",
        "read the reason above and the service's TLS settings",
        kinds=(FaultKind.TLS,),
    ),
    _Rule(
        "C9",
        "the gateway waited in vain for the service behind it",
        "repeat alone; if that works, give the service more workers; look for calls without time "
        "limits",
        statuses=(504, 408),
    ),
    _Rule(
        "N9",
        "the service does not speak TLS on this port, or does not answer at all",
        "write http:// in ENDPOINT if the port speaks plain http; else check host, port and "
        "firewall",
        kinds=(FaultKind.TIMEOUT,),
        text=r"TLS handshake was not done",
    ),
    _Rule(
        "N11",
        "a firewall drops the packets, the host is down, or the name server does not answer",
        "check host and port of ENDPOINT, the network or VPN, and the firewall's rules",
        kinds=(FaultKind.TIMEOUT,),
        text=r"\bwas not done\b",
    ),
    _Rule(
        "N12",
        "the service sends its answer by drops and does not finish it: an overloaded or broken "
        "gateway, or a program's output streamed without an end",
        "look at the service's log at this time; repeat with the curl line",
        kinds=(FaultKind.TIMEOUT,),
        text=r"of its body came",
    ),
    _Rule(
        "C9",
        "the service took the request and hangs: a single-process server busy with another "
        "request, no time limit on the call behind it, or no free worker",
        "repeat alone; if that works, run a production server with several workers; set time "
        "limits on the backend's outgoing calls; if it is merely slow, raise REQUEST_DEADLINE",
        kinds=(FaultKind.TIMEOUT,),
    ),
    _Rule(
        "N13",
        "the service or something before it ended in the middle of its answer: a crash, a restart, "
        "memory used up, or a gateway's time limit",
        "look at the restarts and the last log lines of the service and of its gateway",
        kinds=(FaultKind.CONNECTION_CUT,),
        text=r"bytes of its body",
    ),
    _Rule(
        "N20",
        "the service, or a gateway before it, crashed, restarted, or closes kept connections "
        "without saying so: its keep-alive time is shorter than the 1.5 s for which this client "
        "keeps one, or counts requests",
        "look for restarts in the service's log at this time; if there are none, lengthen the "
        "keep-alive time, or let it answer Connection: close",
        kinds=(FaultKind.CONNECTION_CUT,),
        text=r"had served earlier requests",
    ),
    _Rule(
        "N14",
        "the service closed the connection instead of answering: it crashed or restarted, or "
        "speaks another protocol on this port (TLS, for one)",
        "look at the service's last log lines; check scheme and port of ENDPOINT",
        kinds=(FaultKind.CONNECTION_CUT,),
    ),
    # Where the request went.
    _Rule(
        "N15",
        "a sign-in page stands before the service, as for people with a browser",
        "give the suite a credential (BACKEND_AUTHORIZATION, BACKEND_API_KEY or BACKEND_SCOPE), or "
        "exempt the API from the sign-in",
        kinds=(FaultKind.REDIRECTED, FaultKind.NOT_THE_API),
        text=r"log[ -]?[io]n|sign[ -]?in|oauth|openid|authorize|saml|/auth\b",
    ),
    _Rule(
        "N16",
        "the service sends http callers to https",
        "write https:// in ENDPOINT",
        kinds=(FaultKind.REDIRECTED,),
        text=r"differs in the scheme only",
    ),
    _Rule(
        "R4",
        "the backend's framework insists on another spelling of the path (a final slash)",
        "correct the base URL in ENDPOINT, or the backend's route",
        kinds=(FaultKind.REDIRECTED,),
        text=r"differs in the final slash only",
    ),
    _Rule(
        "R4",
        "the redirect leads to the very address that was asked, for ever: most often a gateway "
        "that ends TLS does not tell the service that the caller came by https "
        "(X-Forwarded-Proto)",
        "let the gateway send X-Forwarded-Proto and the service trust it, or switch the "
        "service's own redirect off",
        kinds=(FaultKind.REDIRECTED,),
        text=r"which is the address that was asked",
    ),
    _Rule(
        "R4",
        "the API lives at another address",
        "put the address that the redirect names into ENDPOINT, if that is the service meant",
        kinds=(FaultKind.REDIRECTED,),
    ),
    # Statuses.
    _Rule(
        "I2",
        "the identity service handed out a token that has expired, or this machine's clock is "
        "ahead",
        "check the clock; then look at what issues the tokens, which may keep them too long",
        statuses=(401,),
        text=r"\btoken for \S+ \([^)]*\bexpired \d+ s ago",
    ),
    _Rule(
        "I1",
        "the token has the audience that session pools want and has not expired, but the pool does "
        "not accept it: it was issued by another tenant or cloud, or was altered on its way",
        "compare the tenant of the identity with the one of the pool (AZURE_TENANT_ID); look for "
        "a proxy that rewrites the Authorization header",
        statuses=(401,),
        text=r"audience https://dynamicsessions\.io, expires in",
    ),
    _Rule(
        "I2",
        "the token has expired: it was kept longer than it lives",
        "fetch a new one; BACKEND_SCOPE instead of BACKEND_AUTHORIZATION renews it by itself, and "
        "the backend, if the token is its own, must renew through its credential",
        statuses=(401,),
        text=r"\bexpired\b",
    ),
    _Rule(
        "I0",
        "the service wants a credential and none was sent",
        "set BACKEND_AUTHORIZATION, BACKEND_API_KEY or BACKEND_SCOPE in the environment",
        statuses=(401,),
        text=r"credentials sent: none",
    ),
    _Rule(
        "I1",
        "the credential is wrong, or its token is for another audience (a session pool wants "
        "https://dynamicsessions.io)",
        "compare the audience and expiry of the token with what the service wants; the scope for "
        "session pools is https://dynamicsessions.io/.default",
        statuses=(401,),
    ),
    _Rule(
        "I6",
        "a person's own sign-in was used, and that person lacks the role on the pool",
        "set AZURE_TOKEN_CREDENTIALS to the service's credential and repeat, or give the person "
        "the role (Azure ContainerApps Session Executor) and wait 5 minutes",
        statuses=(403,),
        text=r"identity \S+, a person",
    ),
    _Rule(
        "I3",
        "the identity is known but lacks the role; Azure may call that 'Unauthenticated'. A role "
        "given less than 5 minutes ago may not have taken effect yet; a mistyped or old path gets "
        "403, too",
        "give the identity (its oid stands above, where known) the role Azure ContainerApps "
        "Session Executor on the pool, wait 5 minutes, then repeat before changing anything else; "
        "check that AZURE_TOKEN_CREDENTIALS picks the identity meant",
        statuses=(403,),
        also=("I4", "R9"),
    ),
    _Rule(
        "R4",
        "there is no such route at the backend, which is built with a typed web framework",
        "correct the base URL in ENDPOINT; the execute route must be under it at api/v2/execute",
        statuses=(404, 405),
        text=r'"detail":|HTTP 405|Method Not Allowed|Cannot (POST|GET)',
    ),
    _Rule(
        "R3",
        "a custom-container pool does not serve this route itself but forwards it to its "
        "container, which does not have it",
        "use /.management/getSession, listSessions or stopSession by POST",
        statuses=(404,),
        text=r" from http\S+/(session|listSessions|metadata)(\?|:|\s|$)",
    ),
    _Rule(
        "R1",
        "nothing is routed there: a wrong base URL or, when every path answers so, a session pool "
        "whose target port is missing or whose ingress is off (its gateway's body is the same as "
        "Piston's own)",
        "check the path in ENDPOINT; if it is right, show the pool's target port, enable its "
        "ingress, and recreate the pool with the port, since an update may not take effect",
        statuses=(404,),
        text=r'"message":\s*"Not Found"|Pool Error|HTTP 5\d\d .*\(session pool, of which the ',
        also=("R2",),
    ),
    _Rule(
        "R3",
        "no execute API lives at this address",
        "correct the base URL in ENDPOINT; the execute route must be under it at api/v2/execute",
        kinds=(FaultKind.WRONG_ADDRESS,),
    ),
    _Rule(
        "C5",
        "a rate limiter of the web server answered, which may count per worker process",
        "lower the rate or raise its limit; share its store between workers, and let it answer "
        "JSON with Retry-After",
        statuses=(429,),
        text=r"<html|<!doctype|HTML",
    ),
    _Rule(
        "C5",
        "the service limits how often a caller may ask",
        "lower the rate, ask for a higher limit or a key, or test an instance of your own",
        statuses=(429,),
        text=r"limited to|rate.?limit|too many requests",
    ),
    _Rule(
        "C2",
        "sessions or workers are used up, or a new pool is still warming",
        "wait for ready instances and repeat; then stop sessions after use, shorten the cooldown "
        "or raise the maximum",
        statuses=(429,),
        also=("C3",),
    ),
    _Rule(
        "C7",
        "the gateway got no answer from the container: it is still starting, has crashed, or "
        "listens on another port than the target port",
        "wait and repeat; if it persists, compare the listening port with the target port and read "
        "the container's console log",
        statuses=(502,),
    ),
    _Rule(
        "C6",
        "no replica is ready to take the request: overload, scale-down or start-up",
        "wait and repeat; if it comes with load, compare failures by concurrency and raise the "
        "number of replicas",
        statuses=(503,),
    ),
    _Rule(
        "N19",
        "the backend works, but can't reach its session pool",
        "look at whether the pool is up, and at its address in the backend's settings "
        "(POOL_MANAGEMENT_ENDPOINT)",
        statuses=tuple(range(500, 600)),
        text=r"\b(nothing listening|name not resolved|TLS failure|no answer in time)\b"
        r".*\(session pool, of which the caller holds",
    ),
    _Rule(
        "C10",
        "the service failed inside; an empty body is what Piston answers when it can't set up the "
        "job",
        "read the service's log at this time; repeat with the curl line to see whether it persists",
        statuses=tuple(range(500, 600)),
    ),
    # Answers that are none.
    _Rule(
        "N17",
        "a web page answers instead of the API: a portal, a single-page application or a proxy",
        "correct the base URL in ENDPOINT; the API may live on another host, port or path prefix",
        kinds=(FaultKind.NOT_THE_API,),
        text=r"HTML",
    ),
    _Rule(
        "N18",
        "something else than the execute API answers at this address",
        "check host, port and path of ENDPOINT; repeat with the curl line and look at the answer",
        kinds=(FaultKind.NOT_THE_API,),
    ),
    _Rule(
        "X2",
        "the executor's adapter answers {properties: {stdout, stderr, exitCode}} where the Piston "
        "API has {run: {stdout, stderr, code}}",
        "translate the field names in the backend, and let it fail on missing ones instead of "
        "taking them as empty output and success",
        kinds=(FaultKind.BAD_ANSWER,),
        text=r"properties\.(stdout|stderr|exitCode)",
    ),
    _Rule(
        "N19",
        "the answer was shortened on its way, or the service counts Content-Length in characters "
        "instead of bytes",
        "compare Content-Length with the body; look at the gateway's limits on answers",
        kinds=(FaultKind.BAD_ANSWER,),
        text=r"breaks off|empty body|after the body than Content-Length",
    ),
    _Rule(
        "N21",
        "the service or a gateway frames its answers wrongly: a proxy that changes a body and "
        "keeps its length, two of them that add the same header, or chunks written by hand",
        "look at the raw answer (curl --raw --verbose) once before and once behind every gateway",
        kinds=(FaultKind.BAD_ANSWER,),
        text=r"where the body ends can't be told|not encoded as Content-Encoding",
    ),
    _Rule(
        "N22",
        "something before the service piles up headers, such as cookies, tokens or traces",
        "look at the headers of the answer, and at what adds them",
        kinds=(FaultKind.BAD_ANSWER,),
        text=r"a header is longer than",
    ),
    _Rule(
        "N23",
        "the service, or a proxy that rewrites its answers, does not encode them in UTF-8",
        "let it send JSON in UTF-8 without a byte order mark",
        kinds=(FaultKind.BAD_ANSWER,),
        text=r"it is not UTF-8|byte order mark",
    ),
    _Rule(
        "X0",
        "the service's answer does not have the shape of the Piston v2 API",
        "compare it with the contract, section 3: language, version, run.stdout, run.stderr and "
        "run.code are required",
        kinds=(FaultKind.BAD_ANSWER,),
    ),
    _Rule(
        "X1",
        "the service's own sandbox is out of order",
        "read the service's log; on Piston check isolate, its privileges and control groups",
        kinds=(FaultKind.SANDBOX, FaultKind.PLATFORM_ERROR_AS_RESULT),
        text=r"status XX|sandbox",
    ),
    _Rule(
        "X1",
        "the backend turned a fault of the platform behind it into a result of the program",
        "read the text above as the platform's error; let the backend answer 5xx for it",
        kinds=(FaultKind.PLATFORM_ERROR_AS_RESULT,),
    ),
)


def _for_pool(cure: str, detail: str) -> str:
    """Name the setting that holds a pool's address where a pool was asked."""
    if not _ASKED_POOL.search(detail):
        return cure
    return re.sub(r"\bENDPOINT\b", "POOL_MANAGEMENT_ENDPOINT", cure)


_TOLD_BY_BACKEND = re.compile(
    r"\bHTTP 5\d\d .*?\bHTTP (\d{3})\b.*\(session pool, of which the caller holds", re.DOTALL
)
_ASKED_POOL = re.compile(r"\(session pool, of which the caller holds [^()]*\)")


def likely_cause(
    kind: FaultKind, *, status: int | None = None, detail: str = "", body: str = ""
) -> Diagnosis:
    """Find the likely cause of a platform fault.

    Args:
        kind: What happened.
        status: HTTP status, also one that was quoted inside a result.
        detail: What was observed.
        body: Start of the body, when there was one.
    """
    text = f"{detail}\n{body}"
    told = _TOLD_BY_BACKEND.search(text)
    if told and status is not None and status >= 500:
        # What the pool answered says more than what the backend made of it.
        status = int(told[1])
    for rule in _RULES:
        if rule.fits(kind, status, text):
            return Diagnosis(rule.cause, _for_pool(rule.cure, detail), rule.row, rule.also)
    return Diagnosis(
        "the platform, not the program, is out of order",
        "read the service's log at this time; repeat with the curl line",
    )


def fault(
    kind: FaultKind,
    detail: str,
    *,
    status: int | None = None,
    body: str = "",
    elapsed: float = 0.0,
    retries: tuple[str, ...] = (),
) -> PlatformFault:
    """Return a platform fault that carries its likely cause and the cure."""
    return PlatformFault(
        kind,
        detail,
        cause=str(likely_cause(kind, status=status, detail=detail, body=body)),
        status=status,
        body=body,
        elapsed=elapsed,
        retries=retries,
    )
