"""SessionsBashTool of langchain-azure-dynamic-sessions, as its documentation has it."""

from __future__ import annotations

import json
import time
from io import BytesIO

from langchain_azure_dynamic_sessions import SessionsBashTool
from steps import ENDPOINT, expect, expect_in, failure, run, step


def _call() -> None:
    SessionsBashTool(pool_management_endpoint=ENDPOINT).invoke("true")


async def _steps() -> None:
    tool = SessionsBashTool(pool_management_endpoint=ENDPOINT)
    with step("execute"):
        expected = {"stdout": "hello\n", "stderr": "", "exitCode": 0}
        expect(json.loads(tool.invoke("echo hello")), expected)
        call = {
            "args": {"bash_command": "echo 1"},
            "id": "1",
            "name": tool.name,
            "type": "tool_call",
        }
        expect(json.loads(tool.invoke(call).content)["stdout"], "1\n")
    with step("state"):
        tool.invoke("echo kept > kept.txt")
        expect(json.loads(tool.invoke("cat /mnt/data/kept.txt"))["stdout"], "kept\n")
    with step("upload"):
        sent = tool.upload_file(data=BytesIO(b"1,2\n"), remote_file_path="a b.csv")
        expect((sent.filename, sent.size_in_bytes), ("a b.csv", 4))
        expect(json.loads(tool.invoke("cat '/mnt/data/a b.csv'"))["stdout"], "1,2\n")
    with step("list"):
        expect(sorted(it.filename for it in tool.list_files()), ["a b.csv", "kept.txt"])
    with step("download"):
        expect(tool.download_file(remote_file_path="kept.txt").read(), b"kept\n")
        expect(tool.download_file(remote_file_path="a b.csv").read(), b"1,2\n")
    with step("errors"):
        failed = json.loads(tool.invoke("echo broken >&2; exit 3"))
        expect(failed, {"stdout": "", "stderr": "broken\n", "exitCode": 3})
        expect_in("404", await failure(lambda: tool.download_file(remote_file_path="none.txt")))
        with SessionsBashTool(pool_management_endpoint=ENDPOINT) as second:
            second.invoke("true")
            expect_in("429", await failure(_call))
    with step("delete"):
        tool.delete_session()
        deadline = time.monotonic() + 30
        # It is deleted in the background, and the tool goes on with another session.
        while True:
            try:
                expect(json.loads(tool.invoke("ls /mnt/data"))["stdout"], "")
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)


if __name__ == "__main__":
    run(_steps, _call)
