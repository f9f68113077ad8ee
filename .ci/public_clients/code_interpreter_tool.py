"""CodeInterpreterTool of azure-dynamic-sessions-code-interpreter, as its documentation has it."""

from __future__ import annotations

import tempfile
from io import BytesIO
from pathlib import Path

from azure_dynamic_sessions_code_interpreter import CodeInterpreterTool
from steps import ENDPOINT, expect, expect_in, failure, run, step


def _call() -> None:
    CodeInterpreterTool(pool_management_endpoint=ENDPOINT).execute("1")


async def _steps() -> None:
    tool = CodeInterpreterTool(pool_management_endpoint=ENDPOINT)
    with step("execute"):
        done = tool.execute("print('Hello, world!')\n6 * 7")
        expect((done["status"], done["result"]), ("Success", 42))
        expect((done["stdout"], done["stderr"]), ("Hello, world!\n", ""))
    with step("state"):
        tool.execute("x = 5")
        expect(tool.execute("x + 1")["result"], 6)
    with step("upload"):
        sent = tool.upload_file(data=BytesIO(b"1,2\n"), remote_file_path="a b.csv")
        expect((sent.filename, sent.size_in_bytes), ("a b.csv", 4))
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder, "local.txt")
            local.write_text("local")
            expect(tool.upload_file(local_file_path=str(local)).full_path, "/mnt/data/local.txt")
        expect(tool.execute("open('/mnt/data/a b.csv').read()")["result"], "1,2\n")
    with step("list"):
        expect(sorted(it.filename for it in tool.list_files()), ["a b.csv", "local.txt"])
    with step("download"):
        expect(tool.download_file(remote_file_path="a b.csv").read(), b"1,2\n")
    with step("errors"):
        failed = tool.execute("1 / 0")
        expect(failed["status"], "Failure")
        expect_in("ZeroDivisionError", failed["stderr"])
        expect_in("404", await failure(lambda: tool.download_file(remote_file_path="none.txt")))
        CodeInterpreterTool(pool_management_endpoint=ENDPOINT).execute("1")
        # It tries four times before it gives up.
        expect_in("429", await failure(_call))


if __name__ == "__main__":
    run(_steps, _call)
