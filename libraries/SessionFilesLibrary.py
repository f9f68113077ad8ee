"""Keywords about the files of sessions in a private built-in pool."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from robot.api import logger
from robot.api.deco import keyword, library
from robot.libraries.BuiltIn import BuiltIn

from codewitness import __version__
from codewitness.execution.http_client import HttpAnswer
from codewitness.target.session_files import DELETED, FileEntry, Generation, SessionFiles

if TYPE_CHECKING:
    from SessionPoolLibrary import SessionPoolLibrary

_FILES = "Azure dynamic sessions contract, section 2: files of the built-in interpreter"
_LIMITS = "Azure dynamic sessions contract, section 4: lifecycle and limits"
_MEGABYTE = 1 << 20
_LOOK_AGAIN_AFTER = 0.02


@library(scope="SUITE", version=__version__, listener="SELF", auto_keywords=False)
class SessionFilesLibrary:
    r"""Keywords that upload, list, download and delete files of sessions.

    They are about the built-in pool that SessionPoolLibrary's `Start Session Pool` started, and
    name users as it does. The contract has two generations of operations, ``A`` with bodies
    wrapped in ``properties`` and ``B`` with flat ones; tests begin with B, and `Use Generation`
    changes that.

    | Upload Text    alice    notes.txt    remember me
    | Execute In Session    alice    print(open("/mnt/data/notes.txt").read())
    | Output Should Be    remember me\n

    What a test uploads is remembered, so that expectations can compare with it.
    """

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self) -> None:
        self._generation: Generation = "B"
        self._uploaded: dict[tuple[str, str], bytes] = {}
        self._pings = 0

    @keyword(tags=["session-pool", "files"])
    def use_generation(self, generation: Generation) -> None:
        """Makes the operations of ``generation`` the ones that the test calls from here on."""
        self._generation = generation

    @keyword(tags=["session-pool", "files"])
    def upload_text(
        self, user: str, name: str, text: str, sent_as: str = "", folder: str = ""
    ) -> None:
        """Uploads a file with ``text`` to the session of ``user``; fails unless it is stored.

        The form says ``sent_as`` where that is given; the pool must store ``name`` all the same.
        """
        self._upload(user, name, text.encode(), sent_as or name, folder)

    @keyword(tags=["session-pool", "files"])
    def upload_bytes(self, user: str, name: str, size: int) -> None:
        """Uploads a file of ``size`` random bytes, all values and line ends among them."""
        self._upload(user, name, random.Random(name).randbytes(size), name, "")

    @keyword(tags=["session-pool", "files"])
    def try_to_upload(self, user: str, megabytes: int) -> None:
        """Announces the upload of a file of so many MiB, and keeps the answer, any answer.

        The caller asks before it sends, as ``Expect: 100-continue`` lets it, and never sends; a
        pool that would take the file answers 100.
        """
        size = megabytes * _MEGABYTE
        files, identifier = self._files, self._pools.identifier(user)
        self._keep(self._pools.ask(lambda: files.announce(identifier, "large.bin", size)))

    @keyword(tags=["session-pool", "files"])
    def try_to_download(self, user: str, name: str) -> None:
        """Asks for the content of a file, and keeps the answer, any answer."""
        files, identifier = self._files, self._pools.identifier(user)
        self._keep(self._pools.ask(lambda: files.download(identifier, name)))

    @keyword(tags=["session-pool", "files"])
    def try_to_describe_file(self, user: str, name: str) -> None:
        """Asks for the metadata of a file, and keeps the answer, any answer."""
        files, identifier = self._files, self._pools.identifier(user)
        self._keep(self._pools.ask(lambda: files.describe(identifier, name)))

    @keyword(tags=["session-pool", "files"])
    def try_to_delete_file(self, user: str, name: str) -> None:
        """Deletes a file, and keeps the answer, any answer."""
        files, identifier = self._files, self._pools.identifier(user)
        self._keep(self._pools.ask(lambda: files.delete(identifier, name)))

    @keyword(tags=["session-pool", "files"])
    def delete_file(self, user: str, name: str) -> None:
        """Deletes a file; fails unless the pool says so as the generation in use does."""
        self.try_to_delete_file(user, name)
        answer, wanted = self._pools.answer, DELETED[self._generation]
        if answer.status != wanted:
            received = f"HTTP {answer.status}"
            self._pools.fail("DELETE of a file", "is answered", f"HTTP {wanted}", received, _FILES)

    # Expectations

    @keyword(tags=["session-pool", "files", "expect"])
    def file_should_come_back(self, user: str, name: str, folder: str = "") -> None:
        """Fails unless the file that the test uploaded comes back byte for byte."""
        self._compare(user, name, self._uploaded[user, name], folder)

    @keyword(tags=["session-pool", "files", "expect"])
    def file_should_hold(self, user: str, name: str, text: str) -> None:
        """Fails unless the file ``name`` can be downloaded and is exactly ``text``."""
        self._compare(user, name, text.encode(), "")

    @keyword(tags=["session-pool", "files", "expect"])
    def file_should_be_listed(self, user: str, name: str, folder: str = "") -> None:
        """Fails unless the session's list has the file, with the size that was uploaded."""
        listed = self._listed(user, folder)
        self._judge(user, name, listed.get(name), f"a list with {_in_words(listed)}")

    @keyword(tags=["session-pool", "files", "expect"])
    def file_should_be_described(self, user: str, name: str) -> None:
        """Fails unless the pool describes the file, with the size that was uploaded."""
        self.try_to_describe_file(user, name)
        entry = self._pools.ask(lambda: self._files.read_entry(self._pools.answer))
        self._judge(user, name, entry, "a description")

    @keyword(tags=["session-pool", "files", "expect"])
    def files_listed_should_be(self, user: str, *names: str) -> None:
        """Fails unless the session's list has exactly ``names``, in any order."""
        listed = self._listed(user, "")
        if set(listed) != set(names):
            expected = ", ".join(sorted(names)) or "none"
            self._pools.fail("files of the session", "are", expected, _in_words(listed), _FILES)

    @keyword(tags=["session-pool", "files", "expect"])
    def upload_should_be_refused_as_too_large(self) -> None:
        """Fails unless the last answer is 413."""
        answer = self._pools.answer
        if answer.status != 413:
            self._pools.fail("upload", "is refused with", "413", f"HTTP {answer.status}", _LIMITS)

    # Programs that run until they are told to end

    @keyword(tags=["session-pool", "files", "expect"])
    def program_should_be_running(self, user: str, within: float = 15) -> None:
        """Fails unless ``run_until_told.py`` runs in the session of ``user``, and answers."""
        self._pings += 1
        self.upload_text(user, f"ping-{self._pings}", "")
        files, identifier = self._files, self._pools.identifier(user)
        deadline = time.monotonic() + within
        while f"pong-{self._pings}" not in files.read_list(files.list(identifier)):
            if time.monotonic() > deadline:
                received = f"silent for {within:g} s"
                self._pools.fail("program", "is", "running, and answers", received, _LIMITS)
            time.sleep(_LOOK_AGAIN_AFTER)

    @keyword(tags=["session-pool", "files"])
    def let_program_end(self, user: str) -> None:
        """Has ``run_until_told.py`` end by itself, and waits for its answer."""
        self.upload_text(user, "end", "")
        self._pools.wait_for_program()

    # Listener

    def start_test(self, _data: object, _result: object) -> None:
        """Let no test meet the files of another one."""
        self._generation, self._uploaded = "B", {}

    # Within

    @property
    def _pools(self) -> SessionPoolLibrary:
        found: Any = BuiltIn().get_library_instance("SessionPoolLibrary")
        library: SessionPoolLibrary = found
        return library

    @property
    def _files(self) -> SessionFiles:
        return SessionFiles(self._pools.pool, self._generation)

    def _upload(self, user: str, name: str, content: bytes, sent_as: str, folder: str) -> None:
        files, identifier = self._files, self._pools.identifier(user)
        answer = self._pools.ask(lambda: files.upload(identifier, sent_as, content, folder))
        self._keep(answer)
        self._uploaded[user, name] = content
        entry = self._pools.ask(lambda: files.read_uploaded(answer))
        self._judge(user, name, entry, "the answer to its upload")

    def _listed(self, user: str, folder: str) -> dict[str, FileEntry]:
        files, identifier = self._files, self._pools.identifier(user)
        answer = self._pools.ask(lambda: files.list(identifier, folder))
        self._keep(answer)
        return self._pools.ask(lambda: files.read_list(answer))

    def _judge(self, user: str, name: str, entry: FileEntry | None, where: str) -> None:
        size = len(self._uploaded[user, name])
        expected = f"{name}, {size} bytes"
        received = "no such file" if entry is None else f"{entry.name}, {entry.size} bytes"
        if received != expected:
            self._pools.fail(f"file in {where}", "is", expected, received, _FILES)

    def _compare(self, user: str, name: str, expected: bytes, folder: str) -> None:
        files, identifier = self._files, self._pools.identifier(user)
        answer = self._pools.ask(lambda: files.download(identifier, name, folder))
        self._keep(answer)
        if answer.status != 200:
            received = f"HTTP {answer.status}"
            self._pools.fail(f"download of {name}", "is answered", "HTTP 200", received, _FILES)
        self._pools.compare(f"content of {name}", expected, answer.body, _FILES)

    def _keep(self, answer: HttpAnswer) -> None:
        self._pools.keep(answer)
        logger.info(f"generation {self._generation}: {answer!r}")


def _in_words(listed: dict[str, FileEntry]) -> str:
    return ", ".join(sorted(listed)) or "nothing"
