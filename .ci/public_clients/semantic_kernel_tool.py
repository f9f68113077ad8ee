"""SessionsPythonTool of semantic-kernel, as its documentation has it.

By default it asks for tokens of the service before dynamic sessions; its documented setting
ACA_TOKEN_ENDPOINT names the one of today.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from azure.identity import DefaultAzureCredential
from semantic_kernel.core_plugins.sessions_python_tool.sessions_python_plugin import (
    SessionsPythonTool,
)
from semantic_kernel.core_plugins.sessions_python_tool.sessions_python_settings import (
    SessionsPythonSettings,
)
from steps import ENDPOINT, expect, expect_in, failure, run, step

_SETTING = "ACA_TOKEN_ENDPOINT"


def _tool(folder: str | None = None, session: str | None = None) -> SessionsPythonTool:
    settings = SessionsPythonSettings(identifier=session) if session else None
    return SessionsPythonTool(
        pool_management_endpoint=ENDPOINT,
        credential=DefaultAzureCredential(),
        settings=settings,
        enable_dangerous_file_uploads=folder is not None,
        allowed_upload_directories=folder and {folder},
    )


def _shown(text: str) -> list[str]:
    """Return status, result, stdout and stderr."""
    parts = []
    for name in ("Stderr", "Stdout", "Result", "Status"):
        text, _, part = text.rpartition(f"{name}:\n")
        parts.append(part.strip("\n"))
    return parts[::-1]


async def _call() -> None:
    await _tool().execute_code(code="1")


async def _steps() -> None:
    os.environ[_SETTING] = "https://dynamicsessions.io/.default"
    with tempfile.TemporaryDirectory() as folder:
        tool = _tool(folder)
        session = tool.settings.session_id
        with step("execute"):
            shown = _shown(await tool.execute_code(code="print('x')\n6 * 7"))
            expect(shown, ["Success", "42", "x", ""])
        with step("state"):
            await tool.execute_code(code="x = 5")
            expect(_shown(await tool.execute_code(code="x + 1"))[1], "6")
        local = Path(folder, "table.csv")
        local.write_text("1,2\n")
        with step("upload"):
            # Its HTTP client goes on labelling bodies as JSON once code was executed with it.
            after = await failure(lambda: tool.upload_file(local_file_path=str(local)))
            expect_in("status code 400", after)
            files = _tool(folder, session)
            sent = await files.upload_file(local_file_path=str(local))
            expect((sent.full_path, sent.size_in_bytes), ("/mnt/data/table.csv", 4))
            read = await tool.execute_code(code="open('/mnt/data/table.csv').read()")
            expect(_shown(read)[1], "1,2")
        with step("list"):
            await tool.execute_code(code="open('/mnt/data/a b.txt', 'w').write('made')")
            listed = await files.list_files()
            expect(sorted(it.filename for it in listed), ["a b.txt", "table.csv"])
        with step("download"):
            expect((await files.download_file(remote_file_name="a b.txt")).read(), b"made")
        with step("errors"):
            status, _, _, stderr = _shown(await tool.execute_code(code="1 / 0"))
            expect(status, "Failure")
            expect_in("ZeroDivisionError", stderr)
            missing = await failure(lambda: files.download_file(remote_file_name="none.txt"))
            expect_in("404", missing)
            await _call()
            expect_in("429", await failure(_call))
        with step("legacy audience"):
            del os.environ[_SETTING]
            expect_in("401", await failure(_call))


if __name__ == "__main__":
    os.environ.setdefault(_SETTING, "https://dynamicsessions.io/.default")
    run(_steps, _call)
