"""ACADynamicSessionsCodeExecutor of autogen-ext, as its documentation has it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock
from autogen_ext.code_executors.azure import ACADynamicSessionsCodeExecutor
from azure.identity import DefaultAzureCredential
from steps import ENDPOINT, expect, expect_in, failure, run, step


class _Client:
    def __init__(self, folder: str | None = None) -> None:
        self.executor = ACADynamicSessionsCodeExecutor(
            pool_management_endpoint=ENDPOINT,
            credential=DefaultAzureCredential(),
            work_dir=folder,
        )

    async def run(self, *blocks: str) -> tuple[int, str]:
        """Return exit code and output of code blocks."""
        code = [CodeBlock(code=block, language="python") for block in blocks]
        result = await self.executor.execute_code_blocks(code, CancellationToken())
        return result.exit_code, result.output


async def _call() -> None:
    await _Client().run("1")


async def _steps() -> None:
    with tempfile.TemporaryDirectory() as folder:
        client = _Client(folder)
        with step("execute"):
            expect(await client.run("print('x')\n6 * 7"), (0, "x\n42"))
            packages = await client.executor.get_available_packages(CancellationToken())
            expect(isinstance(packages, set) and "" not in packages, True)
        with step("state"):
            expect(await client.run("x = 5", "print(x + 1)"), (0, "6\n"))
            expect(await client.run("print(x + 2)"), (0, "7\n"))
        with step("upload"):
            Path(folder, "table.csv").write_text("1,2\n")
            await client.executor.upload_files(["table.csv"], CancellationToken())
            expect(await client.run("open('table.csv').read()"), (0, "1,2\n"))
        with step("list"):
            await client.run("open('made.txt', 'w').write('made')")
            listed = await client.executor.get_file_list(CancellationToken())
            expect(sorted(listed), ["made.txt", "table.csv"])
        with step("download"):
            await client.executor.download_files(["made.txt"], CancellationToken())
            expect(Path(folder, "made.txt").read_text(), "made")
        with step("errors"):
            code, output = await client.run("1 / 0")
            expect(code, 1)
            expect_in("ZeroDivisionError", output)
            missing = client.executor.download_files(["none.txt"], CancellationToken())
            expect_in("does not exist", await failure(lambda: missing))
            await _Client().run("1")
            expect_in("429", await failure(_call))


if __name__ == "__main__":
    run(_steps, _call)
