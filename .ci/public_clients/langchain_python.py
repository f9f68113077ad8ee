"""SessionsPythonREPLTool of langchain-azure-dynamic-sessions, as its documentation has it."""

from __future__ import annotations

import json
import tempfile
from io import BytesIO
from pathlib import Path

from langchain_azure_dynamic_sessions import SessionsPythonREPLTool
from steps import ENDPOINT, expect, expect_in, failure, run, step


def _call() -> None:
    SessionsPythonREPLTool(pool_management_endpoint=ENDPOINT).invoke("1")


async def _steps() -> None:
    tool = SessionsPythonREPLTool(pool_management_endpoint=ENDPOINT)
    with step("execute"):
        expect(json.loads(tool.invoke("6 * 7")), {"result": 42, "stdout": "", "stderr": ""})
        call = {
            "args": {"python_code": "print(1)"},
            "id": "1",
            "name": tool.name,
            "type": "tool_call",
        }
        expect(json.loads(tool.invoke(call).content)["stdout"], "1\n")
        expect(tool.execute("[1, 'a']")["status"], "Success")
    with step("state"):
        tool.invoke("x = 5")
        expect(json.loads(tool.invoke("x + 1"))["result"], 6)
    with step("upload"):
        sent = tool.upload_file(data=BytesIO(b"1,2\n"), remote_file_path="a b.csv")
        expect((sent.filename, sent.size_in_bytes), ("a b.csv", 4))
        expect(sent.full_path, "/mnt/data/a b.csv")
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder, "local.txt")
            local.write_text("local")
            expect(tool.upload_file(local_file_path=str(local)).filename, "local.txt")
        read = json.loads(tool.invoke("open('/mnt/data/a b.csv').read()"))
        expect(read["result"], "1,2\n")
    with step("list"):
        expect(sorted(it.filename for it in tool.list_files()), ["a b.csv", "local.txt"])
    with step("download"):
        tool.invoke("open('/mnt/data/made.bin', 'wb').write(bytes(range(256)))")
        expect(tool.download_file(remote_file_path="made.bin").read(), bytes(range(256)))
        expect(tool.download_file(remote_file_path="a b.csv").read(), b"1,2\n")
    with step("errors"):
        failed = tool.execute("1 / 0")
        expect(failed["status"], "Failure")
        expect_in("ZeroDivisionError", failed["stderr"])
        expect_in("404", await failure(lambda: tool.download_file(remote_file_path="none.txt")))
        with SessionsPythonREPLTool(pool_management_endpoint=ENDPOINT) as second:
            second.invoke("1")
            expect_in("429", await failure(_call))


if __name__ == "__main__":
    run(_steps, _call)
