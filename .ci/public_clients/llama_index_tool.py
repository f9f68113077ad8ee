"""AzureCodeInterpreterToolSpec of llama-index-tools-azure-code-interpreter."""

from __future__ import annotations

import tempfile
from pathlib import Path

from llama_index.tools.azure_code_interpreter import AzureCodeInterpreterToolSpec
from steps import ENDPOINT, expect, expect_in, failure, run, step


def _call() -> None:
    AzureCodeInterpreterToolSpec(pool_management_endpoint=ENDPOINT).code_interpreter("1")


async def _steps() -> None:
    tool = AzureCodeInterpreterToolSpec(pool_management_endpoint=ENDPOINT)
    with step("execute"):
        done = tool.code_interpreter("print('x')\n6 * 7")["properties"]
        expect((done["status"], done["result"]), ("Success", 42))
        expect((done["stdout"], done["stderr"]), ("x\n", ""))
    with step("state"):
        tool.code_interpreter("x = 5")
        expect(tool.code_interpreter("x + 1")["properties"]["result"], 6)
    with step("upload"), tempfile.TemporaryDirectory() as folder:
        local = Path(folder, "a b.csv")
        local.write_text("1,2\n")
        (sent,) = tool.upload_file(local_file_path=str(local))
        expect((sent.filename, sent.size_in_bytes), ("a b.csv", 4))
        expect(sent.file_full_path, "/mnt/data/a b.csv")
        read = tool.code_interpreter("open('/mnt/data/a b.csv').read()")
        expect(read["properties"]["result"], "1,2\n")
    with step("list"):
        expect([it.filename for it in tool.list_files()], ["a b.csv"])
    with step("download"):
        expect(tool.download_file_to_local("/mnt/data/a b.csv").read(), b"1,2\n")
    with step("errors"):
        failed = tool.code_interpreter("1 / 0")["properties"]
        expect(failed["status"], "Failure")
        expect_in("ZeroDivisionError", failed["stderr"])
        expect_in("404", await failure(lambda: tool.download_file_to_local("none.txt")))
        AzureCodeInterpreterToolSpec(pool_management_endpoint=ENDPOINT).code_interpreter("1")
        expect_in("429", await failure(_call))


if __name__ == "__main__":
    run(_steps, _call)
